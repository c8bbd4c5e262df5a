/// `measure` (cli-1 §13, qcow2 §19.7).
let measureCases: [Case] = {
  var lines: [String] = []
  for size in ["0", "1", "512", "1M", "1G", "100000000001", "1T", "1P", "2P", "3P", "9223372036854775807"] {
    lines.append("measure -O qcow2 --size \(size) ; measure -O qcow2 --output=json --size \(size)")
  }
  for options in [
    "cluster_size=512", "cluster_size=4k", "cluster_size=2M", "refcount_bits=1", "refcount_bits=64", "extended_l2=on",
    "preallocation=metadata", "preallocation=falloc", "preallocation=full", "compat=0.10", "lazy_refcounts=on",
    "compression_type=zstd", "data_file=d.raw", "data_file=d.raw,data_file_raw=on", "cluster_size=1000",
    "refcount_bits=3", "foo=bar", "extended_l2=on,cluster_size=4k", "compat=0.9", "preallocation=x",
    "backing_file=x", "backing_file=x,backing_fmt=raw", "cluster_size=foo", "", "lazy_refcounts=maybe",
    "compat=0.10,refcount_bits=8", "cluster_size=512,refcount_bits=64", "nocow=on",
  ] {
    lines.append("measure -O qcow2 -o '\(options)' --size 1G")
  }
  for file in [
    "t.qcow2", "top.qcow2", "mid.qcow2", "mixed.raw", "hole.raw", "zero.raw", "odd.raw", "ext.qcow2", "data.qcow2",
    "snap.qcow2", "bm.qcow2", "v2.qcow2", "small.qcow2", "empty.qcow2",
  ] {
    lines.append("measure -O qcow2 \(file) ; measure -O qcow2 --output=json \(file) ; measure \(file)")
    lines.append("measure -O qcow2 -o cluster_size=4k \(file) ; measure -O raw --output=json \(file)")
  }
  for line in [
    "measure -O raw --size 1000", "measure --size 1G --output=json", "measure -O raw -o foo=bar --size 1",
    "measure -O raw -o preallocation=full --size 1M",
    "measure -O qcow2 -o compat=0.10 bm.qcow2", "measure -O qcow2 -l one snap.qcow2",
    "measure -O qcow2 -l nosuch snap.qcow2", "measure -O qcow2 -l snapshot.id=2 snap.qcow2",
    "measure -O qcow2 -l snapshot.foo=2 snap.qcow2", "measure -O qcow2 -l one base.raw",
    "measure -O qcow2 -o backing_file=mid.qcow2,backing_fmt=qcow2 top.qcow2", "measure -O qcow2 nosuch",
    "measure -f raw -O qcow2 t.qcow2", "measure -f qcow2 -O qcow2 base.raw", "measure -U -O qcow2 t.qcow2",
    "measure --image-opts -O qcow2 driver=qcow2,file.filename=t.qcow2", "measure --image-opts -f qcow2 t.qcow2",
    "measure -O file --size 1M", "measure -O qcow2 --size 1M --output=human", "measure -O '' --size 1M",
  ] { lines.append(line) }
  return Case.lines(lines.joined(separator: "\n"), fixture: images)
    + [
      Case(
        "measure -O qcow2 -o help --size 1G", deviation: Deviation("Q-16", stdout: measureHelp, stderr: "", status: 0))
    ]
    + ["raw", "qcow2"].map { format in
      Case(
        "measure -O \(format) -o size=5G --size 1M",
        deviation: Deviation(
          "Q-31", stderr: "qemu-img: warning: option 'size' is ignored: the size comes from --size\n"))
    }
}()

/// What the reference prints for `create -f qcow2 -o help`.
private let measureHelp = """
  Supported qcow2 options:
    backing_file=<str>     - File name of a base image
    backing_fmt=<str>      - Image format of the base image
    cluster_size=<size>    - qcow2 cluster size
    compat=<str>           - Compatibility level (v2 [0.10] or v3 [1.1])
    compression_type=<str> - Compression method used for image cluster compression
    data_file=<str>        - File name of an external data file
    data_file_raw=<bool (on/off)> - The external data file must stay valid as a raw image
    encrypt.cipher-alg=<str> - Name of encryption cipher algorithm
    encrypt.cipher-mode=<str> - Name of encryption cipher mode
    encrypt.format=<str>   - Encrypt the image, format choices: 'aes', 'luks'
    encrypt.hash-alg=<str> - Name of encryption hash algorithm
    encrypt.iter-time=<num> - Time to spend in PBKDF in milliseconds
    encrypt.ivgen-alg=<str> - Name of IV generator algorithm
    encrypt.ivgen-hash-alg=<str> - Name of IV generator hash algorithm
    encrypt.key-secret=<str> - ID of secret providing qcow AES key or LUKS passphrase
    encryption=<bool (on/off)> - Encrypt the image with format 'aes'. (Deprecated in favor of encrypt.format=aes)
    extended_l2=<bool (on/off)> - Extended L2 tables
    lazy_refcounts=<bool (on/off)> - Postpone refcount updates
    preallocation=<str>    - Preallocation mode (allowed values: off, metadata, falloc, full)
    refcount_bits=<num>    - Width of a reference count entry in bits
    size=<size>            - Virtual disk size

  The protocol level may support further options.
  Specify the target filename to include those options.

  """
