import ImageCore

/// The source volume, opened and checked, with what is said about it (spec §10).
struct OpenedVolume {
  let volume: Volume
  /// Size of the source device in bytes.
  let deviceSize: UInt64

  init(_ options: Options, _ voice: Voice) throws(Stop) {
    let name = options.source ?? ""
    try Checks.checkMount(name, allowsReadOnly: true)
    func facts() throws(ImageError) -> FileFacts {
      do throws(ImageError) {
        return try FileFacts(path: name)
      } catch {
        voice.library("Failed to access '\(name)': \(errorText(error.errno))")
        throw error
      }
    }
    let storage: FileStorage
    do throws(ImageError) {
      if try facts().kind == .directory {
        voice.library("Error reading bootsector: \(errorText(21))")
        throw ImageError.system(21)
      }
      do throws(ImageError) {
        storage = try FileStorage(path: name, writable: false, locking: false)
      } catch {
        voice.library("Error opening '\(name)': \(errorText(error.errno))")
        throw error
      }
      do throws(ImageError) {
        try storage.lockForReading()
      } catch {
        voice.library("Failed to read lock '\(name)': \(errorText(error.errno))")
        throw error
      }
      volume = try Volume(storage, isTolerant: options.rescues || options.ignoresCheck, log: voice.library)
    } catch {
      var text = "Opening '\(name)' as NTFS failed: \(errorText(error.errno))"
      if error.errno == 22 {
        text += """

          Apparently device '\(name)' doesn't have a valid NTFS. Maybe you selected
          the whole disk instead of a partition (e.g. /dev/hda, not /dev/hda1)?
          """
      }
      throw .failure(ImageError(text, errno: error.errno))
    }
    deviceSize = storage.length
    if volume.isDirty, !options.isForced {
      throw .failed(
        """
        Volume '\(name)' is scheduled for a check or it was shutdown\u{20}
        uncleanly. Please boot Windows or use the --force option to progress.
        """)
    }
    voice.line("NTFS volume version: \(volume.majorVersion).\(volume.minorVersion)")
    guard volume.isSupportedVersion else { throw .failed("Unknown NTFS version", 95) }
    voice.line("Cluster size       : \(volume.boot.clusterSize) bytes")
    let size = volume.boot.volumeSize
    voice.line("Current volume size: \(size) bytes (\(megabytes(size)) MB)")
    voice.line("Current device size: \(deviceSize) bytes (\(megabytes(deviceSize)) MB)")
    guard deviceSize >= size else {
      throw .failed(
        """
        Current NTFS volume size is bigger than the device size (\(deviceSize))!
        Corrupt partition table or incorrect device partitioning?
        """)
    }
  }
}
