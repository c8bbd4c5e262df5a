/// Restored volumes are volumes: `ntfsfix -n` has nothing to say that it does not say about the source, and every file that
/// ntfs-3g shows has the same contents, streams and times (issue: acceptance).
let ntfscloneRestoredCases: [Case] =
  (NtfsVolumes.names.filter { $0.hasPrefix("full-") || NtfsVolumes.unpacked.contains($0) })
  .filter { $0 != "c4k-cut-to-zero" && $0 != "c4k-dirty" }
  .map { name in
    Case(
      """
      sh ntfsclone -q -f -s -o s \(name).img >/dev/null 2>&1; ntfsclone -q -r -o r s >/dev/null 2>&1; rm s
      ntfsclone -q -f -o c \(name).img >/dev/null 2>&1; mkdir m
      list() {
        ntfsfix -n $1 >fix 2>&1 || echo "ntfsfix: $?"; cat fix
        ntfs-3g -o ro,streams_interface=xattr $1 m
        (cd m; find . -printf '%y %s %n %T@ %p\\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum;
          find . -type f -print0 | sort -z | xargs -0 getfattr -d -m user. -e base64 2>/dev/null) | sha256sum
        umount m
      }
      list \(name).img >source; list r >restored; list c >cloned
      cmp source restored; cmp source cloned; cat source; rm -f r c source restored cloned fix; rmdir m
      """, name: "\(name): restored and mounted", fixture: NtfsVolumes.alone[name], files: .unchecked)
  }
