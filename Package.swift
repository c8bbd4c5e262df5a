// swift-tools-version: 6.2
//
// The dependencies, and why each is here (docs/ARCHITECTURE.md has the layers):
//
// libdeflate   one-shot deflate: more than twice zlib's speed on 64 KiB clusters, output smaller
// zlib         inflate of streams that libdeflate's one-shot interface refuses (early end, trailing bytes)
// libzstd      qcow2 compression_type=zstd: the reference implementation
// swift-subprocess, swift-system  the tests run the tools with them; no product links them

import PackageDescription

let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  // Buffer lends its memory as spans (`bytes`, `mutableBytes`); that needs @_lifetime.
  .enableExperimentalFeature("Lifetimes"),
  // A copy worker's scratch memory is a noncopyable value that owns Buffers.
  .enableExperimentalFeature("SuppressedAssociatedTypes"),
  .enableUpcomingFeature("ExistentialAny"),
]

/// A layer of the library: a folder of Sources/ImageCore that may import only what is listed here.
func layer(
  _ name: String, _ folder: String, exclude: [String] = [], _ dependencies: [Target.Dependency]
) -> Target {
  .target(
    name: name, dependencies: dependencies, path: "Sources/ImageCore/\(folder)", exclude: exclude,
    swiftSettings: settings)
}

/// An executable: Sources/NAME.
func tool(_ name: String) -> Target {
  .executableTarget(
    name: name, dependencies: ["ImageCore"], swiftSettings: settings,
    // Static here rather than through `--static-swift-stdlib`: that flag changes every compile command, so that the
    // tools and the tests (which link the toolchain's shared Testing library) would each compile everything anew.
    linkerSettings: [
      .unsafeFlags(["-static-stdlib"], .when(configuration: .release)),
      .unsafeFlags(["-Xlinker", "--gc-sections"]),
      // A tool starts in 1.8 ms rather than 2.7, and needs nothing but the C library where it is installed: the others are
      // linked statically (the scripts in Linking say so to the linker, which finds them before the shared libraries), and
      // nothing is exported. The C library stays shared, for those who preload something (fakeroot, eatmydata, our tests).
      .unsafeFlags(
        [
          "-use-ld=lld", "-L\(Context.packageDirectory)/Linking", "-Xclang-linker", "-static-libgcc",
          "-Xlinker", "--no-export-dynamic",
        ], .when(configuration: .release)),
    ])
}

let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")

let package = Package(
  name: "disk-imaging-tools",
  products: [
    .library(name: "ImageCore", targets: ["ImageCore"]),
    .executable(name: "btrfs-image", targets: ["btrfs-image"]),
    .executable(name: "qemu-img", targets: ["qemu-img"]),
    .executable(name: "ntfsclone", targets: ["ntfsclone"]),
    .executable(name: "o2image", targets: ["o2image"]),
    .executable(name: "e2image", targets: ["e2image"]),
    .library(name: "FaultInjection", type: .dynamic, targets: ["FaultInjection"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
  ],
  targets: [
    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CDeflate", providers: [.apt(["libdeflate-dev"])]),
    .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
    .target(name: "CLinux"),
    .target(name: "CChecksum"),

    layer("Bytes", "Bytes", ["CLinux"]),
    layer("Threads", "Threads", ["Bytes"]),
    layer("Codecs", "Codecs", ["Bytes", "CChecksum", "CZlib", "CDeflate", "CZstd"]),
    layer("Storage", "Storage", ["Bytes", "Threads", "CLinux"]),
    layer(
      "Images", "Images",
      exclude: ["Raw", "Qcow2", "NtfscloneImage", "OCFS2Image", "BtrfsImage", "E2imageImage"],
      ["Bytes", "Threads", "Storage"]),
    layer("Raw", "Images/Raw", ["Bytes", "Storage", "Images"]),
    layer("Qcow2", "Images/Qcow2", ["Bytes", "Threads", "Codecs", "Storage", "Images"]),
    layer("NtfscloneImage", "Images/NtfscloneImage", ["Bytes", "Threads", "Storage", "Images"]),
    layer("NTFS", "FileSystems/NTFS", ["Bytes", "Storage"]),
    layer("Copying", "Copying", ["Bytes", "Threads", "Storage", "Images"]),
    layer(
      "NTFSCloning", "FileSystems/NTFSCloning",
      ["Bytes", "Threads", "Storage", "NTFS", "NtfscloneImage", "Copying"]),
    layer("OCFS2", "FileSystems/OCFS2", ["Bytes", "Codecs", "Storage"]),
    layer("OCFS2Image", "Images/OCFS2Image", ["Bytes", "Storage", "Images", "Copying", "OCFS2"]),
    layer("Btrfs", "FileSystems/Btrfs", ["Bytes", "Threads", "Codecs", "Storage"]),
    layer(
      "BtrfsImage", "Images/BtrfsImage", ["Bytes", "Threads", "Codecs", "Storage", "Images", "Copying", "Btrfs"]),
    layer("Ext", "FileSystems/Ext", ["Bytes", "Codecs", "Storage"]),
    layer("E2imageImage", "Images/E2imageImage", ["Bytes", "Storage", "Images", "Copying", "Ext"]),
    layer("CommandLineInterface", "CommandLine", ["Bytes", "CLinux"]),
    .target(
      name: "ImageCore",
      dependencies: [
        "Bytes", "Threads", "Codecs", "Storage", "Images", "Raw", "Qcow2", "NtfscloneImage", "NTFS",
        "Copying", "NTFSCloning", "OCFS2", "OCFS2Image", "Btrfs", "BtrfsImage", "Ext", "E2imageImage",
        "CommandLineInterface",
      ],
      path: "Sources/ImageCore",
      exclude: ["Bytes", "Threads", "Codecs", "Storage", "Images", "FileSystems", "Copying", "CommandLine"],
      sources: ["ImageCore.swift", "StandardFormats.swift"], swiftSettings: settings),

    tool("ntfsclone"),
    tool("qemu-img"),
    tool("o2image"),
    tool("btrfs-image"),
    tool("e2image"),

    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
    .testTarget(name: "ImageCoreTests", dependencies: ["ImageCore", "TestSupport"], swiftSettings: settings),
    // A library that the tests preload into a tool, to make its system calls fail.
    .target(name: "FaultInjection", path: "Tests/FaultInjection", linkerSettings: [.linkedLibrary("dl")]),
    .testTarget(
      name: "ConformanceTests",
      dependencies: [.product(name: "Subprocess", package: "swift-subprocess"), systemPackage, "TestSupport"],
      exclude: ["KnownDifferences.txt", "QemuImg/AcceptedDamage.txt"]),
  ],
  swiftLanguageModes: [.v6]
)

// `make fuzz`: one libFuzzer target a parser, only when asked for, because everything is compiled anew with the
// sanitizer's instrumentation (Fuzz/run). They stand in this package to reach what is `package`.
if Context.environment["FUZZ"] != nil {
  package.targets += [
    .target(name: "CFuzzer", path: "Fuzz/CFuzzer"),
    .target(
      name: "FuzzSupport", dependencies: ["CFuzzer", "ImageCore"], path: "Fuzz/Support", swiftSettings: settings),
  ]
  // These read the images of Fuzz/seeds; the others have seeds of their own.
  let readers = ["qcow2-check", "qcow2-read", "qcow2-snapshots", "qcow2-write", "zero-detection"]
  let parsers = [
    "btrfs-metadump", "btrfs-sanitizer", "btrfs-volume", "codecs", "e2image-normal", "ext-directory", "ext-volume",
    "image-options", "json", "ntfs-volume", "ntfsclone-image", "o2image-packed", "ocfs2-volume", "option-string",
    "sizes",
  ]
  for name in readers + parsers {
    package.targets.append(
      .executableTarget(
        name: "fuzz-\(name)", dependencies: ["FuzzSupport", "ImageCore"], path: "Fuzz/\(name)",
        exclude: readers.contains(name) ? [] : ["seeds"], swiftSettings: settings))
  }
}
