import ImageCore

/// `qemu-img commit` (qemu-img-cli-2 §3).
enum CommitCommand: Command {
  static let name = "commit"
  static let synopsis =
    "[--object objectdef] [--image-opts] [-q] [-f fmt] [-t cache] [-b base] [-r rate_limit] [-d] [-p] filename"

  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.format, "f", "format", .required, isAddition: true),
      CommandOption(.base, "b", "base", .required, isAddition: true),
      CommandOption(.drop, "d", "drop", isAddition: true),
      CommandOption(.rateLimit, "r", "rate-limit", .required, isAddition: true),
      CommandOption(.cache, "t", "cache", .required, isAddition: true),
      CommandOption(.progress, "p", "progress", isAddition: true),
      CommandOption(.quiet, "q", "quiet", isAddition: true),
      .imageOptions,
    ]

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    var rateLimit: UInt64 = 0
    let arguments = try Arguments(words, options, tool) { (option, value) throws(Stop) in
      guard option == .rateLimit else { return }
      rateLimit = try stopping { () throws(ImageError) in
        try sizeArgument(value, name: "rate limit", warn: tool.console.warn)
      }
    }
    let operand = try arguments.singleOperand()
    let cache = try arguments.cacheMode(.cache, message: "Invalid cache option")
    let image = try tool.open(operand, arguments) { options in
      options.use = .write
      options.discards = true
      options.cache = cache
    }
    let quiet = arguments.has(.quiet)
    let progress = Progress(tool.console, isShown: arguments.has(.progress) && !quiet, step: 1)
    defer { progress.end() }
    progress.report(percent: 0)
    let base = try findBase(of: image, operand, arguments.value(.base))
    try stopping { () throws(ImageError) in
      try takeLocks(image, base)
      try copy(image, into: base, rateLimit: rateLimit, progress)
      if !arguments.has(.drop), !arguments.has(.base) { try empty(image, operand) }
      try close(image)
    }
    progress.report(percent: 100)
    progress.end()
    if !quiet { tool.console.printLine("Image committed.") }
    return 0
  }

  /// The layer that is committed into.
  private static func findBase(of image: any DiskImage, _ operand: String, _ name: String?) throws(Stop)
    -> any DiskImage
  {
    if let name {
      guard let base = image.layer(named: name) else {
        throw .failed("Did not find '\(name)' in the backing chain of '\(operand)'")
      }
      return base
    }
    guard let base = image.backing else { throw .failed("Image does not have a backing file") }
    return base
  }

  /// The base becomes writable; layers in between lose their meaning for whoever uses them now.
  private static func takeLocks(_ image: any DiskImage, _ base: any DiskImage) throws(ImageError) {
    for layer in image.layers(above: base) {
      if let file = layer.storage.file { try file.lock(.readAlone) }
    }
    guard let base = base as? any ReopenableImage else {
      throw ImageError("Block node is read-only", errno: 30 /* EROFS */)
    }
    try base.reopenForWriting()
  }

  private static func copy(
    _ image: any DiskImage, into base: any DiskImage, rateLimit: UInt64, _ progress: Progress
  ) throws(ImageError) {
    guard let base = base as? any WritableDiskImage else {
      throw ImageError("Block node is read-only", errno: 30 /* EROFS */)
    }
    var commit = Commit(image, into: base)
    commit.rateLimit = rateLimit
    let size = image.virtualSize
    commit.completed = { done in
      if done < size { progress.report(done: done, of: size) }
    }
    do throws(ImageError) {
      try commit.run()
    } catch {
      throw ImageError("Block job failed: \(errorText(error.errno))", errno: error.errno)
    }
    do throws(ImageError) { try base.close() } catch { throw error.prefixed("Error while closing the image: ") }
  }

  /// Only now: the base holds, durably, what the image gives up. Formats that cannot be emptied keep what they have.
  private static func empty(_ image: any DiskImage, _ operand: String) throws(ImageError) {
    guard let image = image as? any EmptyableImage else { return }
    do throws(ImageError) { try image.makeEmpty() } catch { throw error.prefixed("Failed to empty \(operand): ") }
  }

  private static func close(_ image: any DiskImage) throws(ImageError) {
    guard let image = image as? any WritableDiskImage else { return }
    do throws(ImageError) { try image.close() } catch { throw error.prefixed("Error while closing the image: ") }
  }
}
