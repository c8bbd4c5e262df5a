/// The longer texts of the reference, which scripts and their users know.
enum Texts {
  static let usage = """

    Usage: ntfsclone [OPTIONS] SOURCE
        Efficiently clone NTFS to a sparse file, image, device or standard output.

        -o, --output FILE      Clone NTFS to the non-existent FILE
        -O, --overwrite FILE   Clone NTFS to FILE, overwriting if exists
        -s, --save-image       Save to the special image format
        -r, --restore-image    Restore from the special image format
            --rescue           Continue after disk read errors
        -m, --metadata         Clone *only* metadata (for NTFS experts)
        -n, --no-action        Test restoring, without outputting anything
            --ignore-fs-check  Ignore the filesystem check result
            --new-serial       Set a new serial number
            --new-half-serial  Set a partial new serial number
        -t, --preserve-timestamps Do not clear the timestamps
        -q, --quiet            Do not display any progress bars
        -f, --force            Force to progress (DANGEROUS)
            --full-logfile     Include the full logfile in metadata output
        -h, --help             Display this help
        -V, --version          Display version information

        If FILE is '-' then send the image to the standard output. If SOURCE is '-'
        and --restore-image is used then read the image from the standard input.

    Developers' email address: ntfs-3g-devel@lists.sf.net
    News, support and information:  https://github.com/tuxera/ntfs-3g/

    """

  static let version = """
    Efficiently clone, image, restore or rescue an NTFS Volume.

    Copyright (c) 2003-2006 Szabolcs Szakacsits
    Copyright (c) 2004-2006 Anton Altaparmakov
    Copyright (c) 2010-2018 Jean-Pierre Andre

    This program is free software, released under the GNU General Public License
    and you are welcome to redistribute it under certain conditions.  It comes with
    ABSOLUTELY NO WARRANTY; for details read the GNU General Public License to be
    found in the file "COPYING" distributed with this program, or online at:
    http://www.gnu.org/copyleft/gpl.html

    Developers' email address: ntfs-3g-devel@lists.sf.net
    News, support and information:  https://github.com/tuxera/ntfs-3g/

    """

  static let metadataToDevice = """
    Cloning only metadata to a block device does not usually make sense, aborting...
    If you were instructed to do this by a developer and/or are sure that this is what you want to do, run this utility \
    again but this time add the force option, i.e. add '--force' to the command line arguments.
    """

  static let reiserFS = """
    WARNING: You're using ReiserFS, it has very poor performance creating
    large sparse files. The next operation might take a very long time!
    Creating sparse output file ...

    """

  static let smbFS = """
    WARNING: You're using SMBFS and if the remote share isn't Samba but a Windows
    computer then the clone operation will be very inefficient and may fail!

    """

  static let noLargeFiles = "Your system or the destination filesystem doesn't support large files."

  static let noSparseFiles = """
    Apparently the destination filesystem doesn't support sparse files.
    You can overcome this by using the more efficient --save-image option
    of ntfsclone. Use the --restore-image option to restore the image.
    """
}
