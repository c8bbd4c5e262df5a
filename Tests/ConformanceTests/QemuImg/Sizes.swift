/// Numbers on the command line and in options (cli-1 §3).
let sizeCases: [Case] = {
  let texts = [
    "0", "1", "512", "513", "1k", "1K", "1.5k", "1.5K", "1.0004k", "1.0005k", "1.00048828125k", "0.3M", "1.1G",
    "0.0004k", "0.0005k", "1.", "1.k", ".5k", "0x200", "0X200", "0x", "0xg", "0x1k", "0x1b", "0x1.8", "010", "08",
    "+512", "++512", "-0", "-1", "' 512'", "'512 '", "1kb", "1KiB", "1kk", "1e", "1e3", "1.5e1", "1.5e", "1.5", "1.5B",
    "0.5b", "1.0", "1.0b", "512b", "512B", "abc", "nan", "inf", "''", "1,5k", "1_0", "8E", "16E", "9223372036854775807",
    "9223372036854775808", "18446744073709551615", "18446744073709551616", "99999999999999999999999", "0.99999999999E",
    "7.9999999E", "1M1", "1 M", "1t", "1P", "0.1", "0.0", "00", "0x0", "k", "+", "-", ".", "1..5k", "1.5.5k", "0b1",
  ]
  var lines: [String] = []
  for text in texts {
    // A sparse raw file is as good a thermometer as any; huge ones fail in the file system, with the same words.
    lines.append("create -f raw t.raw -- \(text)")
    lines.append("measure -O raw --size \(text)")
  }
  for text in ["1.5k", "-1", "", "1kb", "1.5", "010", "0x10", "16E"] {
    lines.append("create -f raw -o size=\(text) t.raw")
  }
  for text in ["0", "1k", "513", "1kb", "-1", "0x200"] {
    lines.append("$ truncate -s 1M a.raw => map -s \(text) a.raw")
    lines.append("$ truncate -s 1M a.raw => map -l \(text) a.raw")
    lines.append("$ truncate -s 1M a.raw => dd bs=\(text) if=a.raw of=b.raw")
    lines.append("$ truncate -s 1M a.raw => dd bs=64k count=\(text) if=a.raw of=b.raw")
    lines.append("$ truncate -s 1M a.raw => resize -f raw a.raw \(text)")
    lines.append("$ truncate -s 1M a.raw => convert -S \(text) a.raw b.raw")
  }
  return Case.lines(lines.joined(separator: "\n")) + outOfRange
    + [
      // The reference parses the option twice and warns twice.
      Case(
        "create -f raw -o size=0x1k t.raw",
        deviation: Deviation(
          "Q-33", stderr: "qemu-img: warning: Using a multiplier suffix on hex numbers is deprecated: 0x1k\n"))
    ]
}()

/// Sizes of 2^63 and more wrap around in the reference.
private let outOfRange: [Case] =
  ["15E", "18446744073709551615"].map { text in
    Case(
      "create -f raw -o size=\(text) t.raw",
      deviation: Deviation(
        "Q-17", stdout: "", stderr: "qemu-img: t.raw: Value '\(text)' is out of range for parameter 'size'\n",
        status: 1,
        files: .unchecked))
  }
  + [
    Case(
      "resize -f raw a.raw 9E", setup: ["truncate -s 1M a.raw"],
      deviation: Deviation(
        "Q-17", stdout: "", stderr: "qemu-img: Value '9E' is out of range for parameter 'size'\n", status: 1))
  ]
