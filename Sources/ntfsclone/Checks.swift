import ImageCore

/// What options and names must come up to before anything is opened, in the reference's order (spec §9.3).
enum Checks {
  static func check(_ options: Options, _ voice: Voice) throws(Stop) {
    /// An error about the command line's form, with the usage behind it.
    func unusable(_ message: String) -> Stop {
      voice.error(ImageError(message, errno: 0))
      return Options.usage(voice, status: 1)
    }
    guard options.isTest || options.output != nil else { throw unusable("You must specify an output file.") }
    guard options.source != nil else { throw unusable("You must specify a device file.") }
    guard !options.readsStandardInput || options.restores else {
      throw unusable("Only special images can be read from standard input")
    }
    if options.isMetadata, options.restores {
      throw .failed("Restoring only metadata from an image is not supported!")
    }
    if options.isMetadata, !options.savesImage, options.writesToStandardOutput {
      throw .failed("Cloning only metadata to stdout isn't supported!")
    }
    if options.ignoresCheck, !options.isMetadata, !options.rescues {
      throw .failed("Filesystem check can be ignored only for metadata cloning or rescue situations!")
    }
    if options.savesImage, options.restores {
      throw .failed("Saving and restoring an image at the same time is not supported!")
    }
    if options.isTest, !options.restores { throw .failed("A restoring test requires the restore option!") }
    if options.isTest, options.output != nil {
      throw .failed("A restoring test requires not defining any output!")
    }
    if options.savesImage, !options.restores, options.hasNewSerial || options.hasNewHalfSerial {
      throw .failed("A new serial number cannot be set in a special image: set it when restoring!")
    }
    guard let output = options.output else { return }
    if options.writesToStandardOutput {
      try refuseSource(OutputStream.standardOutput().identity, output, options)
    } else {
      try check(output, options)
    }
  }

  /// Refuses an output that is the source, be it through a loop device.
  private static func refuseSource(_ identity: FileIdentity?, _ output: String, _ options: Options) throws(Stop) {
    guard let source = options.source else { return }
    let other =
      options.readsStandardInput ? InputStream.standardInput().identity : (try? FileFacts(path: source))?.identity
    if shareBytes(identity, other) {
      throw .failed("Source '\(source)' and output '\(output)' are the same!")
    }
  }

  private static func check(_ output: String, _ options: Options) throws(Stop) {
    let facts: FileFacts
    do throws(ImageError) {
      facts = try FileFacts(path: output)
    } catch {
      if error.errno == 2 { return }
      throw .failed("Couldn't access '\(output)'", error.errno)
    }
    guard options.overwrites else {
      throw .failed(
        "Output file '\(output)' already exists.\nUse option --overwrite if you want to replace its content.")
    }
    if facts.kind == .blockDevice, options.isMetadata, !options.isForced {
      throw .failed(Texts.metadataToDevice)
    }
    try refuseSource(facts.identity, output, options)
  }

  /// Refuses a device that is mounted; one that is only read may be mounted read-only.
  static func checkMount(_ path: String, allowsReadOnly: Bool) throws(Stop) {
    let state: MountState
    do throws(ImageError) {
      state = try MountState(of: path)
    } catch {
      throw .failed("Failed to check '\(path)' mount state", error.errno)
    }
    guard state.isMounted else { return }
    guard state.isReadOnly else {
      throw .failed("Device '\(path)' is mounted read-write. You must 'umount' it first.")
    }
    guard allowsReadOnly else { throw .failed("Device '\(path)' is mounted. You must 'umount' it first.") }
  }
}
