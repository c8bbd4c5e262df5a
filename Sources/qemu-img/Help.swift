import ImageCore

/// The general help (qemu-img-cli-1 §2.7).
enum Help {
  /// Everything, with the newline at its end.
  static var text: String {
    let synopses = QemuImg.commands.map { "  \($0.name) \($0.synopsis)" }.joined(separator: "\n")
    // The protocols' names are formats too: they show a file's bytes as they are.
    let formats = (ImageOpener.standard { _ in }.formats.map { $0.name } + ["host_cdrom", "host_device"])
      .sorted()
    return """
      \(QemuImg.version)
      usage: qemu-img [standard options] command [command options]
      QEMU disk image utility

          '-h', '--help'       print this help and exit
          '-V', '--version'    print the version and exit
          '-T', '--trace'      [[enable=]<pattern>][,events=<file>][,file=<file>]
                               choose events to trace

      Command syntax:
      \(synopses)

      \(parameters)

      Supported formats: \(formats.joined(separator: " "))

      Differences from QEMU's own tool, and where to report bugs: see qemu-img(1).
      The QEMU project: <https://qemu.org>.

      """
  }

  private static let parameters = """
    Command parameters:
      'filename' names a disk image: a path, file:PATH, or json:{...}; with --image-opts
        it is a list of options instead, such as driver=qcow2,file.filename=PATH
      'objectdef' defines an object, such as secret,id=ID,file=PATH for a key
      'fmt' is an image's format; without it the format is recognised by its contents
      'cache' says how the image is written: 'none', 'writeback' (the default except in
        convert), 'writethrough', 'directsync' or 'unsafe' (convert's default)
      'src_cache' says the same for images that are read
      'size' is a number of bytes; a suffix multiplies it: 'k' or 'K' by 1024, 'M' by
        1024k, 'G' by 1024M, 'T' by 1024G, 'P' by 1024T, 'E' by 1024P; 'b' by nothing
      'output_filename' names the image that is written
      'output_fmt' is its format
      'options' are NAME=VALUE pairs with commas between them; -o help lists those that a
        format has
      'snapshot_param' chooses an internal snapshot: its ID or name, or
        'snapshot.id=ID,snapshot.name=NAME'
      '-c' compresses the target's clusters
      '-u' takes a backing file's name as it is, without opening the file
      '-h' prints this help, with or without a command
      '-p' shows how far the command is
      '-q' keeps quiet, except about errors
      '-S' is the number of zero bytes in a row that are left out of the target (4k);
        0 writes everything, so that the target is fully allocated
      '--output' is 'human' or 'json'
      '-n' writes into a target that exists already

    Parameters to bitmap subcommand:
      'bitmap' is the bitmap's name; the actions '--add', '--remove', '--clear',
        '--enable', '--disable' and '--merge SOURCE' are done in their order
      '-g granularity' is the number of bytes that a bit of an added bitmap stands for
      '-b source_file' and '-F source_fmt' name another image to merge bitmaps from

    Parameters to check subcommand:
      '-r' repairs: 'leaks' gives back space that nothing refers to, which is harmless;
        'all' corrects other errors too, and may choose wrongly

    Parameters to convert subcommand:
      '--bitmaps' copies the persistent bitmaps of the source's top layer
      '-m' is the number of requests that are under way at once (8)
      '-W' lets the target be written in any order

    Parameters to snapshot subcommand:
      'snapshot' is the snapshot's name
      '-a' returns the disk to the snapshot
      '-c' makes a snapshot
      '-d' deletes a snapshot
      '-l' lists the snapshots

    Parameters to compare subcommand:
      '-f' is the first image's format
      '-F' is the second image's format
      '-s' is strict: sizes and allocation count as well

    Parameters to dd subcommand:
      'bs=BYTES' is the size of a block (512)
      'count=N' copies N blocks
      'if=FILE' is what is read
      'of=FILE' is what is written
      'skip=N' leaves out N blocks at the input's start
    """
}
