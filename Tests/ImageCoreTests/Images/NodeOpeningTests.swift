import Bytes
import Foundation
import ImageCore
import Images
import Storage
import Testing

/// Names and option trees (qemu-img-cli-2 §7); the expected texts are what 7.2 printed.
@Suite struct NodeOpening {
  /// A folder of its own with a raw file of 1 MiB and a file that holds no image.
  final class Folder {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("nodes-\(UUID().uuidString)").path

    init() throws {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      try Data(repeating: 1, count: 1 << 20).write(to: URL(fileURLWithPath: path + "/r.raw"))
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  private let folder: Folder

  init() throws { folder = try Folder() }

  /// What opening gives: the shown name, format and size, or the error; `r.raw` stands for the file.
  private func open(_ text: String, imageOptions: Bool = false, _ adjust: (inout OpenOptions) -> Void = { _ in })
    -> String
  {
    let file = folder.path + "/r.raw"
    var options = OpenOptions()
    adjust(&options)
    let given = text.replacingOccurrences(of: "r.raw", with: file)
    let opener = ImageOpener.standard { _ in }
    let result: String
    do throws(ImageError) {
      let image = imageOptions ? try opener.open(imageOptions: given, options) : try opener.open(given, options)
      result = "\(image.filename) \(image.format) \(image.virtualSize)"
    } catch {
      result = error.message.replacingOccurrences(of: "Could not open '\(given)': ", with: "")
    }
    return result.replacingOccurrences(of: file, with: "r.raw")
  }

  @Test(arguments: [
    ("r.raw", "r.raw raw 1048576"), ("file:r.raw", "r.raw raw 1048576"), ("foo:bar", "Unknown protocol 'foo'"),
    (":foo", "Unknown protocol ''"), ("", "The 'file' block driver requires a file name"),
    ("host_device:r.raw", "'host_device' driver requires 'r.raw' to be either a character or block device"),
    ("file:/dev/null", "'file' driver requires '/dev/null' to be a regular file"), ("/dev/null", "/dev/null raw 0"),
    ("json:{", "Could not parse the JSON options: JSON parse error, premature EOI"),
    ("json:[1]", "Invalid JSON object given"), ("json:{}", "Must specify either driver or file"),
    (#"json:{"driver":"raw"}"#, "A block device must be specified for \"file\""),
    (#"json:{"driver":5,"file":{"filename":"r.raw"}}"#, "r.raw raw 1048576"),
    (
      #"json:{"driver":"raw","size":512,"file":{"filename":"r.raw"}}"#,
      #"json:{"driver": "raw", "size": 512, "file": {"driver": "file", "filename": "r.raw"}} raw 512"#
    ),
    (#"json:{"driver":"file","filename":"r.raw"}"#, "r.raw file 1048576"),
  ])
  func names(_ name: String, _ expected: String) { #expect(open(name) == expected) }

  @Test(arguments: [
    ("driver=raw,file.filename=r.raw", "r.raw raw 1048576"),
    ("r.raw", "Cannot find device='r.raw' nor node-name='r.raw'"),
    ("", "Must specify either driver or file"), (",", "Cannot find device='' nor node-name=''"),
    (
      "nofoo,file.filename=r.raw", "Cannot reference an existing block device with additional options or a new filename"
    ),
    ("driver=raw,file.filename=r.raw,foo=1", "Block format 'raw' does not support the option 'foo'"),
    ("driver=raw,file.filename=r.raw,file.foo=1", "Block protocol 'file' doesn't support the option 'foo'"),
    ("driver=nope,file.filename=r.raw", "Unknown driver 'nope'"),
    ("driver=raw,node-name=1,file.filename=r.raw", "Invalid node-name: '1'"),
    ("driver=raw,node-name=a,file.node-name=a,file.filename=r.raw", "Duplicate nodes with node-name='a'"),
    ("driver=raw,file.aio=foo,file.filename=r.raw", "invalid parameter value: foo"),
    ("driver=raw,cache.direct=foo,file.filename=r.raw", "Parameter 'cache.direct' expects 'on' or 'off'"),
    ("driver=raw,size=513,file.filename=r.raw", "Specified size is not multiple of 512"),
    ("driver=qcow2,file.filename=r.raw", "Image is not in qcow2 format"),
    ("driver=raw,backing.driver=raw,file.filename=r.raw", "Driver doesn't support backing files"),
    (
      "driver=raw,offset=512,file.driver=raw,file.file.filename=r.raw",
      #"json:{"offset": "512", "driver": "raw", "file": {"driver": "raw", "file": {"driver": "file", "filename": "r.raw"}}} raw 1048064"#
    ),
    ("id=1,driver=raw,file.filename=r.raw", "Parameter 'id' expects an identifier"),
  ])
  func imageOptions(_ text: String, _ expected: String) { #expect(open(text, imageOptions: true) == expected) }

  @Test func writing() {
    let text = "driver=raw,read-only=on,file.filename=r.raw"
    #expect(open(text, imageOptions: true) { $0.use = .write } == "Block node is read-only")
    let shared = "driver=raw,force-share=on,file.filename=r.raw"
    #expect(
      open(shared, imageOptions: true) { $0.use = .write } == "force-share=on can only be used with read-only images")
    let conflict = "driver=raw,force-share=off,file.filename=r.raw"
    #expect(
      open(conflict, imageOptions: true) { $0.forceShare = true } == "--force-share/-U conflicts with image options")
  }

  @Test func keysOfManyDotsAreBounded() {
    let key = "backing" + String(repeating: ".a", count: 20000)
    #expect(
      open("driver=raw,\(key)=1,file.filename=r.raw", imageOptions: true) == "Driver doesn't support backing files")
  }
}
