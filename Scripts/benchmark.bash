# What the scripts in Benchmarks share: both tools under a name of their own in a folder of its own, and a table of jobs.
# Sourced. Needs hyperfine and GNU time.

# begin TOOL FOLDER_OF_THE_REFERENCE FOLDER_FOR_FILES ARGUMENTS...: takes --tools, --reference and --runs from the arguments
# (the rest is left in `rest`), makes `folder` and goes there. `reference/TOOL` and `ours/TOOL` are what is compared, ours in
# the form that is shipped: stripped.
begin() {
  tool=$1 reference=$2
  local files=$3
  shift 3
  tools= runs=5 rest=() mounted=() elsewhere=()
  while (( $# )); do
    case $1 in
      --tools) tools=$2; shift ;;
      --reference) reference=$2; shift ;;
      --runs) runs=$2; shift ;;
      *) rest+=("$1") ;;
    esac
    shift
  done
  [[ -x $tools/$tool ]] || { echo "no $tool in '$tools' (--tools)" >&2; exit 2; }
  folder=$(mktemp -d "${BENCH_DIR:-$files}/bench.XXXXXX")
  trap clean EXIT
  mkdir "$folder/reference" "$folder/ours"
  ln -s "$reference/$tool" "$folder/reference/$tool"
  strip -o "$folder/ours/$tool" "$tools/$tool"
  cd "$folder"
}

# Whatever is mounted below `folder` and named in `mounted` is unmounted; folders in other places are named in `elsewhere`.
clean() {
  local mount
  cd /
  for mount in "${mounted[@]}"; do
    ! mountpoint -q "$mount" || umount "$mount" || true
  done
  rm -rf "$folder" "${elsewhere[@]}"
}

# The table's columns; `calls` is set by those who want the system calls counted, with strace.
calls=
heading() { # TITLE
  printf '\n%-44s %12s %12s %8s %10s %10s' "$1" 'reference s' 'ours s' 'ratio' 'ref MiB' 'ours MiB'
  [[ -z $calls ]] || printf ' %10s %10s' 'ref calls' 'our calls'
  echo
}

# job NAME LIMIT ARGUMENTS...: the medians of `TOOL ARGUMENTS` with the reference and with ours, run in turn, their ratio, and
# the peak of resident memory of both. `before` is run before each; LIMIT is the ratio that we promise, `memory` the peak in
# MiB. A row that misses a promise ends in `> LIMIT`. The row is kept in `row`.
before='rm -f image' memory=64
job() {
  local name=$1 limit=$2 side peaks='' counts=''
  shift 2
  row=
  if ! hyperfine -N --style none --warmup 1 --runs "$runs" --prepare "$before" --export-csv "$folder/times.csv" \
    "$folder/reference/$tool $*" "$folder/ours/$tool $*" >"$folder/log" 2>&1; then
    printf '%-44s failed: %s\n' "$name" "$(tail -n 3 "$folder/log" | tr '\n' ' ')"
    return 0
  fi
  for side in reference ours; do
    $before
    /usr/bin/time -f %M -o "$folder/peak" "$folder/$side/$tool" "$@" >"$folder/log" 2>&1 || true
    peaks+="$(tail -n 1 "$folder/peak") "
    [[ -n $calls ]] || continue
    $before
    strace -f -c -o "$folder/calls" "$folder/$side/$tool" "$@" >"$folder/log" 2>&1 || true
    counts+="$(awk '$NF == "total" { print $4 }' "$folder/calls") "
  done
  row=$(awk -F, -v name="$name" -v limit="$limit" -v memory="$memory" -v peaks="$peaks" -v counts="$counts" '
    NR > 1 { median[NR - 1] = $(NF - 4) }
    END {
      split(peaks, peak, " "); shown = split(counts, count, " ")
      ratio = median[2] / median[1]
      printf "%-44s %12.4f %12.4f %8.2f %10.1f %10.1f", name, median[1], median[2], ratio, peak[1] / 1024, peak[2] / 1024
      if (shown) printf " %10d %10d", count[1], count[2]
      if (ratio > limit) printf "  > %s", limit
      if (peak[2] > memory * 1024) printf "  > %s MiB", memory
      if (shown && count[2] * 100 > count[1]) printf "  > a hundredth of the calls"
    }' "$folder/times.csv")
  echo "$row"
}
