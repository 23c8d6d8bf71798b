# Sourced by loaders and rpc: builds libFuzzer targets of a package and runs them one after the other.

root=$(cd "$(dirname "$0")/.." && pwd)

# build PACKAGE SCRATCH [ARGUMENT…]: all targets of Fuzz/PACKAGE with AddressSanitizer and coverage, in SCRATCH.
build() {
  package=$1
  scratch=$2
  shift 2
  mkdir -p "$scratch"
  # Named apart, the two leave modules that are compiled by several threads without coverage; hence once more together.
  # Files that were added to the server since the last build are seen only when the build is planned again.
  rm -f "$scratch/release.yaml"
  ${SWIFT:-swift} build -c release --package-path "$root/Fuzz/$package" --scratch-path "$scratch" \
    --sanitize=fuzzer --sanitize=address -Xswiftc -sanitize=fuzzer,address "$@" >"$scratch/build.log" 2>&1 || {
    cat "$scratch/build.log" >&2
    exit 2
  }
}

heading() { printf '%-15s %10s %12s %8s %8s %7s %s\n' target seconds executions edges features corpus result; }

# fuzz NAME PROGRAM MINUTES LONGEST: one line of figures; returns 1 when the run failed.
#
# Starts from Fuzz/corpus/NAME; what is found is kept in SCRATCH/corpus, so that the next run goes on from there.
fuzz() {
  mkdir -p "$scratch/corpus/$1" "$root/Fuzz/corpus/$1"
  dictionary="$root/Fuzz/dictionaries/$1.dict"
  [ ! -f "$dictionary" ] || set_dictionary="-dict=$dictionary"
  log="$scratch/$1.log"
  result=passed
  SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0 \
    nice -n 19 timeout $(($3 * 60 + 60)) "$scratch/release/$2" \
    -max_total_time=$(($3 * 60)) -timeout=10 -rss_limit_mb=1024 -max_len="$4" -print_final_stats=1 \
    -artifact_prefix="$scratch/$1-" ${set_dictionary:-} \
    "$scratch/corpus/$1" "$root/Fuzz/corpus/$1" >"$log" 2>&1 || result=FAILED
  unset set_dictionary
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  last=$(grep -E '^#[0-9]+.* cov: ' "$log" | tail -n 1)
  value() { printf '%s' "$last" | sed -n "s|.* $1: \([0-9]*\).*|\1|p"; }
  corpus=$(printf '%s' "$last" | sed -n 's|.* corp: \([0-9]*\)/.*|\1|p')
  seconds=$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' "$log")
  printf '%-15s %10s %12s %8s %8s %7s %s\n' \
    "$1" "${seconds:--}" "${executions:--}" "$(value cov)" "$(value ft)" "${corpus:--}" "$result"
  [ "$result" = passed ] || {
    tail -n 30 "$log"
    return 1
  }
}
