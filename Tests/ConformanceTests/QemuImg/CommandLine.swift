/// The top level: standard options, usage errors, help, version (cli-1 §2).
let commandLineCases =
  [Case("", name: "no arguments")]
  + Case.lines(
    """
    nosuch
    help
    --nosuch
    -x
    -T
    --trace
    --version=1
    --help=1
    -T nosuch
    -T nosuch info x
    --trace nosuch info nosuch.img
    info
    info a b
    info -z x
    info --bogus x
    info --backing-chain=1 x
    info --output
    info -f
    info --output=xml x
    info --outp=json nosuch
    info --out json nosuch
    info --b nosuch
    check
    check a b
    check -r foo x
    check -r
    check --output=xml x
    check -z x
    map
    map a b
    map --output=xml x
    map -z x
    compare
    compare a
    compare a b c
    compare -z a b
    convert
    convert a
    convert -z a b
    convert --bogus a b
    convert -O
    measure a b
    measure
    measure --size 1M a
    measure -f raw --size 1M
    measure -l s --size 1M
    measure --image-opts --size 1M
    measure --output=xml --size 1M
    measure -O nosuch --size 1M
    measure -O bochs --size 1M
    dd
    dd if=a
    dd of=b
    dd foo
    dd foo=bar
    dd seek=1 if=a of=b
    dd conv=notrunc if=a of=b
    dd bs=0 if=a of=b
    dd bs=foo if=a of=b
    dd bs=-1 if=a of=b
    dd bs=2G if=a of=b
    dd count=foo if=a of=b
    dd skip=-1 if=a of=b
    dd -z if=a of=b
    resize
    resize a
    resize a b c
    resize -z a 1M
    resize --bogus a 1M
    resize --preallocation=foo a 1M
    sh ln -s "$(command -v qemu-img)" xq && ./xq foo; rm xq
    sh ln -s "$(command -v qemu-img)" xq && ./xq create; rm xq
    sh POSIXLY_CORRECT=1 qemu-img create -f raw t 1M -q
    sh qemu-img create t 1M -q && stat -c %s t
    create t 1M -qf raw
    create -fraw t 1M
    create -f raw -f qcow2 t 1M
    """)
  // The two lines of the version are ours; scripts parse the first words, which stay.
  + Case.lines(
    """
    --version
    -V
    --vers
    -V nosuch
    """,
    masks: [
      Mask("(?m)^qemu-img version [0-9.]+.*$", "qemu-img version"), Mask("(?m)^Copyright .*$", "Copyright"),
    ])
  // The help texts are ours; that there is one, on stdout, with status 0 is the interface.
  + Case.lines(
    """
    --help
    -h
    create --help
    create -h=1
    create --hel
    create -h
    info --help
    check -h
    map --help
    convert --help
    convert -h
    compare --help
    measure --help
    dd --help
    dd -h if=a
    """,
    masks: help)
  + [
    // The option is named, not the word that getopt happens to look at.
    Case("info -Uz x", deviation: Deviation("Q-15", stderr: tryHelp("unrecognized option '-z'"))),
    Case("info -zU x", deviation: Deviation("Q-15", stderr: tryHelp("unrecognized option '-z'"))),
    Case("--", deviation: Deviation("Q-16", stderr: tryHelp("Not enough arguments"), status: 1)),
    Case(
      "resize --help", masks: help,
      deviation: Deviation("Q-16", stdout: "help", stderr: "", status: 0)),
    Case(
      "measure -z", masks: help,
      deviation: Deviation("Q-14", stdout: "", stderr: tryHelp("unrecognized option '-z'"), status: 1)),
  ]

private let help = [
  Mask("(?s)^qemu-img version .*Supported formats: [^\\n]*\\n.*$", "help"), Mask("(?s)^Usage:.*$", "help"),
]

/// The two lines of a usage error.
func tryHelp(_ message: String) -> String {
  "qemu-img: \(message)\nTry 'qemu-img --help' for more information\n"
}
