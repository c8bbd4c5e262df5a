import ImageCore

/// Installing a normal image on a device (`-I`, ext4-e2image §9.3).
struct Installation {
  let arguments: Arguments
  let voice: Voice

  /// Installs the image.
  func run() throws(Stop) {
    let image = try stopping("while trying to open \(arguments.image)") { () throws(ImageError) in
      try E2imageImage(openSource(arguments.image), filename: arguments.image)
    }
    guard arguments.isForced || !FileSystemUse(of: arguments.device).isMountedForWriting else {
      throw .failure(ImageError("\(arguments.device) is mounted; use the -f option to install the image all the same"))
    }
    guard let device = try? FileStorage(path: arguments.device, writable: !arguments.isDryRun, locking: false) else {
      throw .finished("\(arguments.device): while opening device file")
    }
    if !device.growsWithZeros, device.length < image.superblock.byteCount {
      throw .failure(ImageError("\(arguments.device) is smaller than the file system"))
    }
    if shareBytes(device.identity, image.storage.identity) {
      throw .failure(ImageError("\(arguments.device) is the image itself"))
    }
    try stopping("while installing \(arguments.image)") { () throws(ImageError) in
      let installer = ImageInstaller(image, device)
      try installer.check()
      if arguments.isDryRun { return }
      do throws(ImageError) {
        try installer.run(time: installationTime())
      } catch {
        throw error.errno == 0 ? error : .system(error.errno)
      }
    }
  }

  /// The time that the superblock gets.
  private func installationTime() -> UInt64 {
    if let fake = environmentVariable("E2FSPROGS_FAKE_TIME") { return numberAtStart(of: fake.rawBytes) }
    return UInt64(clamping: secondsSince1970())
  }
}
