/// Options, operands, prompts, messages, exit statuses (ocfs2-o2image §14).
let o2imageCommandLineCases: [Case] =
  Case.lines(
    """
    sh o2image
    -h
    --help
    --version
    -V
    -f b4kc4.img x
    -x b4kc4.img x
    -rq b4kc4.img x
    a
    a b c
    -r a
    sh o2image -I - x
    sh o2image -I x -
    sh o2image -rI - -
    nope x
    sh o2image "" x
    sh o2image -r "" x
    . x
    /dev/null x
    sh printf y | o2image -I x nope
    sh printf y | o2image -rI x nope
    $ : >e.img => e.img x
    $ truncate -s 511 e.img => e.img x
    $ truncate -s 512 e.img => e.img x
    $ truncate -s 1536 e.img => e.img x
    $ truncate -s 10000 e.img => e.img x
    $ truncate -s 20000 e.img => e.img x
    $ head -c 100000 /dev/zero | tr '\\0' x >e.img => e.img x
    sh POSIXLY_CORRECT=1 o2image b4kc4.img -r x
    b4kc4.img x -r
    -r -- b4kc4.img x
    -rr b4kc4.img -i x
    sh o2image -i b4kc4.img x </dev/null
    sh printf n | o2image -i b4kc4.img x
    sh printf '\\ny' | o2image -i b4kc4.img x
    sh printf n | o2image -I x y
    sh printf '' | o2image -I x y
    sh o2image -I x y </dev/null
    sh printf ' y' | o2image -rI x y
    sh printf y | o2image -ir b4kc4.img x
    sh printf Y | o2image -ri b4kc4.img x
    sh printf yes | o2image -i -r b4kc4.img x
    sh MALLOC_PERTURB_=255 o2image -i -r b4kc4.img - </dev/null | md5sum
    sh MALLOC_PERTURB_=255 o2image b4kc4.img x && printf y | o2image -rI y x
    sh printf y | o2image -I y b4kc4.img
    sh : >x ; chmod 644 x ; o2image -r b4kc4.img x ; stat -c %a x
    sh umask 077 ; o2image -r b4kc4.img x ; stat -c %a x
    sh umask 777 ; o2image -r b4kc4.img x ; stat -c %a x
    sh o2image -r b4kc4.img - >x
    sh o2image -r b4kc4.img - | cat >x
    sh head -c 99999 /dev/zero >x ; o2image -r b4kc4.img x
    sh mkfifo f ; o2image -r b4kc4.img f & cat f | md5sum
    sh o2image -r b4kc4.img /dev/null
    sh MALLOC_PERTURB_=255 o2image b4kc4.img - | tail -c +9 | md5sum
    sh MALLOC_PERTURB_=255 o2image twobackups.img - | tail -c +9 | md5sum
    sh MALLOC_PERTURB_=255 o2image -r nobackup.img - | md5sum
    """, fixture: madeFixture, masks: [Mask("space [0-9]+K", "space …K")])
  // Failures that the reference calls success.
  + [
    ("b4kc4.img /nonexistent/x", "o2image: No such file or directory while trying to open \"/nonexistent/x\"\n"),
    ("b4kc4.img /", "o2image: Is a directory while trying to open \"/\"\n"),
    ("-r b4kc4.img .", "o2image: Is a directory while trying to open \".\"\n"),
    ("sh o2image b4kc4.img \"\"", "o2image: No such file or directory while trying to open \"\"\n"),
    ("-r b4kc4.img /dev/full", "o2image: I/O error on channel while writing to image \"/dev/full\"\n"),
  ].map { command, text in
    Case(command, fixture: madeFixture, deviation: Deviation("O-3", stdout: "", stderr: text, status: 1))
  }
  + [
    Case(
      "b4kc4.img /dev/full", fixture: madeFixture,
      deviation: Deviation(
        "O-15", stdout: "",
        stderr: """
          writing header: No space left on device
          o2image: No space left on device while writing to image "/dev/full"

          """, status: 1)),
    Case(
      "sh o2image b4kc4.img - >/dev/full", fixture: madeFixture,
      deviation: Deviation(
        "O-15", stdout: "",
        stderr: """
          writing header: No space left on device
          o2image: No space left on device while writing to image "-"

          """, status: 1)),
    // A volume that is cut off: its readable part is in the image, zeros stand for the rest.
    Case(
      "b4kc4.img x", "-r b4kc4.img y", "sh stat -c %s x y",
      name: "source cut off", fixture: madeFixture, setup: ["truncate -s 12M b4kc4.img"],
      deviation: Deviation(
        "O-13",
        [
          0: .init(
            stdout: "", stderr: "o2image: I/O error on channel error occurred during read block 3072\n", status: 1),
          1: .init(stdout: "", stderr: "o2image: I/O error on channel while reading block 3072\n", status: 1),
          2: .init(stdout: "14761984\n14753792\n", stderr: "", status: 0),
        ], files: .unchecked)),
    Case(
      "sh printf y | o2image -I /nonexistent/x x", name: "install into a folder that does not exist",
      fixture: madeFixture, setup: [.shell("o2image b4kc4.img x")],
      deviation: Deviation(
        "O-9", stdout: "Install x image to /nonexistent/x. Continue? (y/N): ",
        stderr: "o2image: No such file or directory while trying to open \"/nonexistent/x\"\n", status: 1)),
    Case(
      "b4kc4.img b4kc4.img", "sh ln b4kc4.img c.img ; o2image -r b4kc4.img c.img", name: "the source as destination",
      fixture: madeFixture,
      deviation: Deviation(
        "O-11",
        [
          0: .init(
            stdout: "",
            stderr: "o2image: Source and destination are the same file while trying to open \"b4kc4.img\"\n", status: 1),
          1: .init(
            stdout: "",
            stderr: "o2image: Source and destination are the same file while trying to open \"c.img\"\n", status: 1),
        ], files: .unchecked)),
    Case(
      "sh printf y | o2image -I x p && stat -c %s x", name: "an installed volume has its whole length",
      fixture: madeFixture, setup: [.shell("o2image b4kc4.img p")],
      deviation: Deviation(
        "O-12", stdout: "Install p image to x. Continue? (y/N): 104857600\n", stderr: "", status: 0,
        files: .unchecked)),
    Case(
      "sh printf 0123456789 >x ; o2image -r b4kc4.img - >>x ; stat -c %s x", name: "appended to standard output",
      fixture: madeFixture,
      deviation: Deviation("O-14", stdout: "14753802\n", stderr: "", status: 0, files: .unchecked)),
  ]
