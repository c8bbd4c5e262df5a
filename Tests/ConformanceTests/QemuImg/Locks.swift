/// Two processes at one image (cli-2 §10): QEMU's own locks, held by `qemu-io`, are honoured in its words; ours are
/// honoured by it.
let lockCases: [Case] = {
  var cases: [Case] = []
  for (mode, file) in [("", "top.qcow2"), ("-r", "top.qcow2"), ("", "mid.qcow2"), ("-r", "mid.qcow2")] {
    for command in [
      "commit -d top.qcow2", "commit -b base.raw top.qcow2", "rebase -b base.raw -F raw top.qcow2",
      "rebase -u -b base.raw -F raw top.qcow2", "rebase -U -b mid.qcow2 -F qcow2 top.qcow2", "bench -c 1 top.qcow2",
      "bench -U -c 1 top.qcow2", "map -U top.qcow2",
    ] {
      cases.append(held(by: "qemu-io \(mode) \(file)", command))
    }
  }
  cases += [
    held(by: "qemu-io -r -f raw base.raw", "commit -b base.raw top.qcow2"),
    held(by: "qemu-io -r -f raw base.raw", "rebase -b base.raw -F raw top.qcow2"),
    held(by: "qemu-io -f raw base.raw", "rebase -b '' mid.qcow2"),
  ]
  // While ours copies slowly, nobody else may write to what it uses.
  for (command, other) in [
    ("commit -q -d -r 512k top.qcow2", "qemu-io -c 'write 0 64k' top.qcow2"),
    ("commit -q -d -r 512k top.qcow2", "qemu-io -r -c 'read 0 64k' top.qcow2"),
    ("commit -q -d -r 512k top.qcow2", "qemu-io -c 'write 0 64k' mid.qcow2"),
    ("commit -q -d -r 512k top.qcow2", "qemu-io -r -c 'read 0 64k' mid.qcow2"),
    ("commit -q -d -r 512k top.qcow2", "qemu-io -r -U -c 'read 0 64k' mid.qcow2 | sed 's/,.*//'"),
    ("commit -q -b base.raw -r 512k top.qcow2", "qemu-io -r -c 'read 0 64k' mid.qcow2"),
    ("commit -q -b base.raw -r 512k top.qcow2", "qemu-io -c 'write 0 64k' mid.qcow2"),
  ] {
    cases.append(
      Case(
        "sh qemu-img \(command) & \(untilLocked("top.qcow2")) sleep 0.6; \(other) 2>&1 | grep -v ops; wait",
        name: "\(command) beside \(other)", fixture: lockedChain, files: .unchecked,
        masks: [Mask("(?m)^.*MiB, .*$", "…")]))
  }
  return cases
}()

private let lockedChain = Fixture(
  "locked-chain", companions: ["top.qcow2": ["mid.qcow2", "base.raw"], "mid.qcow2": ["base.raw"]],
  [
    """
    qemu-img create -q -f raw base.raw 4M
    qemu-img create -q -f qcow2 -b base.raw -F raw mid.qcow2
    qemu-img create -q -f qcow2 -b mid.qcow2 -F qcow2 top.qcow2
    qemu-io -c 'write -q -P 1 0 2M' top.qcow2
    """
  ])

/// The command, run while another process has a file open: its prompt shows that it has.
private func held(by holder: String, _ command: String) -> Case {
  Case(
    """
    sh mkfifo in; \(holder) <in >out 2>&1 & exec 9>in; i=0; until [ -s out ] || [ $i = 100 ]; do sleep 0.05; i=$((i+1)); done
    status=0; qemu-img \(command) || status=$?; exec 9>&-; wait; exit $status
    """, name: "\(command) while \(holder)", fixture: lockedChain, files: .unchecked,
    masks: [Mask("completed in [0-9.]+", "completed in …")])
}

/// Has the reference open an image until the shell ends.
func holding(_ image: String, _ mode: String = "") -> String {
  "mkfifo hold; qemu-io \(mode)\(image) <hold >/dev/null & exec 9>hold; echo 'read 0 512' >&9; rm hold; "
    + "\(untilLocked(image)) trap 'exec 9>&-; wait' EXIT;"
}

/// Waits, on a busy machine up to ten seconds, until a process that was started before has its locks on an image.
func untilLocked(_ image: String) -> String {
  "for i in $(seq 100); do grep -q \"OFDLCK.*:$(stat -c %i \(image)) \" /proc/locks && break; sleep 0.1; done;"
}
