import ImageCore

/// The bytes of the secrets that were defined (qemu-img-cli-2 §9.4), by their ids.
struct Secrets {
  private var contents: [String: [UInt8]] = [:]

  /// A secret's file is a key or a passphrase, and ends somewhere.
  private static let limit = 1 << 20

  /// Reads, decodes and decrypts a secret.
  ///
  /// - Parameter property: the last value of a property; nil if it was not given.
  mutating func define(_ id: String, isInKeyring: Bool, _ property: (String) -> String?) throws(ImageError) {
    if property("loaded") != nil { throw ImageError("Property 'secret.loaded' is not writable") }
    var bytes = isInKeyring ? try Secrets.readKeyring(property("serial")) : try Secrets.read(property)
    let isBase64 = property("format") == "base64"
    if let keyID = property("keyid") {
      bytes = try decrypt(bytes, isBase64: isBase64, keyID: keyID, vector: property("iv"))
    } else if isBase64 {
      bytes = try Secrets.decode(bytes)
    }
    contents[id] = bytes
  }

  private static func read(_ property: (String) -> String?) throws(ImageError) -> [UInt8] {
    switch (property("data"), property("file")) {
    case (nil, nil): throw ImageError("Either 'file' or 'data' must be provided")
    case (.some, .some): throw ImageError("'file' and 'data' are mutually exclusive")
    case (let data?, nil): return data.rawBytes
    case (nil, let file?): return try readFile(file)
    }
  }

  private static func readFile(_ name: String) throws(ImageError) -> [UInt8] {
    func failure(_ what: String, _ error: ImageError) -> ImageError {
      ImageError("Unable to read \(name): \(what) file “\(name)”: \(errorText(error.errno))", errno: error.errno)
    }
    let stream: InputStream
    do throws(ImageError) { stream = try InputStream(path: name) } catch { throw failure("Failed to open", error) }
    var bytes: [UInt8] = []
    var buffer = Buffer(1 << 16)
    while true {
      var target = buffer.mutableBytes
      let count: Int
      do throws(ImageError) { count = try stream.read(into: &target) } catch { throw failure("Error reading", error) }
      if count == 0 { return bytes }
      bytes += buffer.bytes.array(0..<count)
      guard bytes.count <= limit else { throw failure("Error reading", .system(27 /* EFBIG */)) }
    }
  }

  private static func readKeyring(_ serial: String?) throws(ImageError) -> [UInt8] {
    guard let serial else { throw ImageError("Parameter 'serial' is missing") }
    guard case .success(let number) = parseInteger(serial.rawBytes), let key = Int32(exactly: Int64(bitPattern: number))
    else { throw ImageError("Parameter 'serial' expects int32") }
    do throws(ImageError) {
      return try keyringSecret(key)
    } catch {
      let digits = String(UInt32(bitPattern: key), radix: 16)
      let name = String(repeating: "0", count: 8 - digits.utf8.count) + digits
      throw error.prefixed("Unable to read serial key \(name): ")
    }
  }

  private static func decode(_ text: [UInt8]) throws(ImageError) -> [UInt8] {
    guard let bytes = decodeBase64(text) else { throw ImageError("Base64 data contains invalid characters") }
    return bytes
  }

  private func decrypt(_ input: [UInt8], isBase64: Bool, keyID: String, vector: String?) throws(ImageError) -> [UInt8] {
    guard let key = contents[keyID] else { throw ImageError("No secret with id '\(keyID)'") }
    guard key.count == AES256.keySize else {
      throw ImageError("Key should be \(AES256.keySize) bytes in length")
    }
    guard let vector else { throw ImageError("IV is required to decrypt secret") }
    let start = try Secrets.decode(vector.rawBytes)
    guard start.count == AES256.blockSize else {
      throw ImageError("IV should be \(AES256.blockSize) bytes in length not \(start.count)")
    }
    let bytes = isBase64 ? try Secrets.decode(input) : input
    guard bytes.count % AES256.blockSize == 0 else {
      throw ImageError("Length \(bytes.count) must be a multiple of block size \(AES256.blockSize)")
    }
    let plain = AES256(key: key).decryptCBC(bytes, vector: start)
    guard let padding = plain.last else { return [] }
    guard Int(padding) <= AES256.blockSize, Int(padding) <= plain.count else {
      throw ImageError("Incorrect number of padding bytes (\(padding)) found on decrypted data")
    }
    return plain.dropLast(Int(padding))
  }
}
