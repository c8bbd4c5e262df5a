/// Options, their conflicts and the checks before anything is opened (spec §9).
let ntfscloneCommandLineCases: [Case] =
  Case.lines(
    """
    --help
    --version
    -h
    -V
    --vers
    -z
    --nonsense
    -o
    --output
    --d
    --debug
    -d -q -s -o o v.img
    -v
    v.img
    -o o
    -o o -
    -s -o o -
    -o o -O p v.img
    -o o -o p v.img
    -o o -o p --version
    -z --version
    --version -z
    v.img v.img
    v.img special.img --help
    -q v.img -s -o o
    -qsoo v.img
    -qso o v.img
    --out=o -q v.img
    --out o -q v.img
    --ov o -q v.img
    --o o v.img
    --re -o o v.img
    --res -o o v.img
    --f -o o v.img
    --n -o o v.img
    --ne -o o v.img
    --new -o o v.img
    --resc -q -o o v.img
    --rest -q -o o special.img
    --fu -q -m -o o v.img
    --fo -q -o o v.img
    --ig -o o v.img
    --i --resc -q -o o v.img
    --p -m -q -o o v.img
    --m -q -o o v.img
    --q -s -o o v.img
    --s -q -o o v.img
    --no -r -q special.img
    -n -r special.img
    -m -r -o o special.img
    -m -s -r -o o special.img
    -m -o - v.img
    -m -n -o o v.img
    --ignore-fs-check -o o v.img
    --ignore-fs-check -s -o o v.img
    -s -r -o o special.img
    -n -o o v.img
    -n v.img
    -rn -o o special.img
    -rn -O o special.img
    -o v.img special.img
    -o v.img/x v.img
    -o nosuch/o v.img
    -s -o nosuch/o v.img
    -o o nosuch
    -r -o o nosuch
    -o o .
    -o o /dev/null
    sh ntfsclone -o '' v.img
    sh ntfsclone -s -O '' v.img
    sh ntfsclone -r -o '' special.img
    -r -o o v.img
    -r -o o .
    -O /dev/null v.img
    -O /dev/full v.img
    -m -O /dev/full v.img
    -r -O /dev/null special.img
    -q -s -O /dev/null v.img
    -q -m -s -O /dev/null v.img
    -q -t -o o v.img
    -q --full-logfile -o o v.img
    -q -r --rescue -f --full-logfile -t -o o special.img
    $ mkfifo f => -q -O f v.img
    $ mkfifo f => sh cat f | sha256sum & ntfsclone -q -s -O f v.img; wait
    $ truncate -s 0 empty.img => -o o empty.img
    $ truncate -s 100 short.img => -o o short.img
    $ truncate -s 10000 zeros.img => -o o zeros.img
    $ printf 'old contents' >o => -q -O o v.img
    $ printf 'old contents' >o => -q -s -O o v.img
    $ printf 'old contents' >o => -q -m -O o v.img
    $ printf 'old contents' >o => -q -r -O o special.img
    $ cp s512-c8k.img o => -q -O o v.img ; sh cmp o v.img
    sh umask 077; ntfsclone -q -s -o o v.img; stat -c %a o
    sh umask 0; ntfsclone -q -s -o o v.img; stat -c %a o
    sh umask 0; ntfsclone -q -o o v.img; stat -c %a o
    sh ntfsclone -q -s -o - v.img 2>err | ntfsclone -q -r -O o -; cmp o v.img
    sh ntfsclone -q -s -o - v.img 2>err | ntfsclone -r -n -
    sh ntfsclone -q -o - s512-c8k.img | cmp - s512-c8k.img
    """, fixture: NtfsVolumes.fixture)
  + [
    // Defects that are not repeated.
    Case(
      "-O v.img v.img", fixture: NtfsVolumes.fixture,
      deviation: Deviation(
        "N-1", stdout: "",
        stderr: "ntfsclone v2022.10.3 (libntfs-3g)\nERROR: Source 'v.img' and output 'v.img' are the same!\n",
        status: 1,
        files: .unchecked)),
    Case(
      "sh ln v.img w.img; ntfsclone -s -O w.img v.img || cmp v.img s512-c4k.img", fixture: NtfsVolumes.fixture,
      deviation: Deviation(
        "N-1", stdout: "",
        stderr: "ntfsclone v2022.10.3 (libntfs-3g)\nERROR: Source 'v.img' and output 'w.img' are the same!\n",
        status: 0, files: .unchecked)),
    Case(
      "-q -o o -- v.img", fixture: NtfsVolumes.fixture,
      deviation: Deviation(
        "N-14", stdout: NtfscloneTexts.cloned,
        stderr: "ntfsclone v2022.10.3 (libntfs-3g)\n", status: 0, files: .unchecked)),
    Case(
      "-q -m -s -O /dev/full v.img", fixture: NtfsVolumes.fixture,
      deviation: Deviation(
        "N-2",
        stdout: NtfscloneTexts.savesMetadata + "ERROR(28): Write failed: No space left on device\n",
        stderr: "ntfsclone v2022.10.3 (libntfs-3g)\n", status: 1, files: .unchecked)),
    Case(
      "-q -s -O /dev/full v.img", fixture: NtfsVolumes.fixture,
      deviation: Deviation(
        "N-2",
        stdout: NtfscloneTexts.scanned + NtfscloneTexts.used + "Saving NTFS to image ...\n"
          + "ERROR(28): Write failed: No space left on device\n",
        stderr: "ntfsclone v2022.10.3 (libntfs-3g)\n", status: 1, files: .unchecked)),
    Case(
      "-q -s --new-serial -o o v.img", fixture: NtfsVolumes.fixture,
      deviation: Deviation(
        "N-8", stdout: "",
        stderr: "ntfsclone v2022.10.3 (libntfs-3g)\n"
          + "ERROR: A new serial number cannot be set in a special image: set it when restoring!\n", status: 1,
        files: .unchecked)),
  ]
