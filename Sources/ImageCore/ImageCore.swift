// The layers under one name: `import ImageCore` is all that a program needs.
@_exported import Btrfs
@_exported import BtrfsImage
@_exported import Bytes
@_exported import Codecs
@_exported import CommandLineInterface
@_exported import Copying
@_exported import Images
@_exported import NTFS
@_exported import NTFSCloning
@_exported import NtfscloneImage
@_exported import OCFS2
@_exported import OCFS2Image
@_exported import Qcow2
@_exported import Raw
@_exported import Storage
@_exported import Threads
