/// What is around a run: descriptors, limits, devices that show the source (ext4-e2image §6, §11).
let e2imageEnvironmentCases: [Case] =
  Case.lines(
    """
    sh (e2image -r e4.img -; echo $? >y) | head -c 1 | wc -c; cat y
    sh mkfifo f; exec 8<>f 9>f; exec 8<&-; trap '' PIPE; e2image -r e4.img - >&9 || echo $?; rm f
    sh e2image -r e4.img - >/dev/full || echo $?
    sh e2image -r e4.img - >&- || echo $?
    sh e2image -r e4.img - 1</dev/null || echo $?
    sh (ulimit -f 40; trap '' XFSZ; e2image -r e4.img - >x) || echo $?
    sh (ulimit -f 40; trap '' XFSZ; e2image -Q e4.img x) || echo $?; rm -f x
    sh (ulimit -f 40; trap '' XFSZ; e2image -Qa e2.img x) || echo $?; rm -f x
    sh (ulimit -f 40; ulimit -c 0; e2image -r e4.img x 2>/dev/null) 2>/dev/null || echo $?; stat -c %a x; rm -f x
    sh cat e4.img | e2image -r /dev/stdin x
    sh e2image -r e4.img x 2>&-
    sh e2image -r e4.img x >&- <&-
    """, fixture: e2imageFixture)
  + [
    Case(
      "sh e2image -ra e4.img x <&- >&- 2>&- || echo $?; cmp x y",
      name: "messages while standard descriptors are closed (E-40)", fixture: e2imageFixture,
      setup: ["truncate -s 20M e4.img; e2image -ra e4.img y 2>/dev/null"],
      deviation: Deviation("E-40", stdout: "1\n", stderr: "", status: 0, files: .unchecked))
  ]
  + [
    // Somebody cuts the source when most of it is still to be read.
    Case(
      "sh (e2image -ra dense.img - 2>log || echo $? >&2) | { head -c 4096; truncate -s 100K dense.img; cat; } >x; "
        + "grep -c 'Input/output error' log | sed 's/[1-9][0-9]*/some/'",
      name: "a source that is cut (E-42)", fixture: e2imageFixture,
      setup: [
        "mkdir d; yes | head -c 40M >d/f; truncate -s 60M dense.img; mke2fs -q -F -d d -b 4096 dense.img </dev/null; rm -r d"
      ],
      deviation: Deviation("E-42", stdout: "some\n", stderr: "1\n", status: 0, files: .unchecked))
  ]
  + [">/dev/full", ">&-"].map { stdout in
    let reason = stdout == ">&-" ? "Bad file descriptor" : "No space left on device"
    return Case(
      "sh e2image -rn e4.img x \(stdout) || echo $? >&2", fixture: e2imageFixture,
      deviation: Deviation(
        "E-41", stdout: "", stderr: e2imageBanner + "e2image: error while writing to standard output: \(reason)\n1\n",
        status: 0, files: .unchecked))
  }
  + ["-r", "-Q", ""].flatMap { option -> [Case] in
    let text = e2imageBanner + "e2image: Source and destination are the same file while trying to open "
    return [
      Case(
        "sh e2image \(option) e2.img - 1<>e2.img || cmp e2.img y", name: "\(option) to stdout, the source (E-23)",
        fixture: e2imageFixture, setup: ["cp e2.img y"],
        deviation: Deviation("E-23", stdout: "", stderr: text + "-\n", status: 0, files: .unchecked)),
      Case(
        "sh . ./devices; attach e2.img; (e2image \(option) $d e2.img || e2image \(option) e2.img $d || :) 2>&1 | sed s,$d,DEV,; "
          + "leave; cmp e2.img y", name: "\(option) by way of a loop device of the source (E-23)",
        fixture: e2imageFixture, setup: ["cp e2.img y"],
        deviation: Deviation(
          "E-23", stdout: text + "e2.img\n" + text + "DEV\n", stderr: "", status: 0, files: .unchecked)),
    ]
  }
