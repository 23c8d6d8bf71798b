# Sourced by the scripts that run a server: start one, wait until it is ready, score golden rows, end it.

now_ms() { date +%s%3N; }

# start_server OUTPUT BINARY ARGUMENT…: `martlet serve` in the background with its output in a file; sets server_pid.
start_server() {
  local output=$1 binary=$2
  shift 2
  # A session of its own, so that Control-C and the end of this script do not reach a server that is to stay.
  # Descriptor 9 is the lock of `scripts/deploy`, which must not live as long as the server.
  setsid "$binary" serve "$@" >"$output" 2>&1 </dev/null 9>&- &
  server_pid=$!
}

# wait_ready OUTPUT SECONDS: until the server's ready line is in the file; sets rpc_url and admin_address.
wait_ready() {
  local output=$1 end=$((SECONDS + $2)) line address
  while ! line=$(grep -m 1 -E '(^|[^a-z])ready([^a-z]|$).*(tcp://|unix:)' "$output" 2>/dev/null); do
    if ! running "$server_pid"; then
      echo "the server ended before it was ready:" >&2
      tail -n 20 "$output" >&2
      return 1
    fi
    if [ $SECONDS -ge $end ]; then
      echo "the server was not ready after $2 s:" >&2
      tail -n 20 "$output" >&2
      return 1
    fi
    sleep 0.02
  done
  address=$(grep -oE '(tcp://[^ ,;]+:[0-9]+|unix:[^ ,;]+)' <<<"$line" | head -n 1)
  case $address in
    unix:*) rpc_url=ttrpc+$address ;;
    *) rpc_url=ttrpc${address#tcp} ;;
  esac
  admin_address=$(grep -oE 'http://[^ ,;/]+:[0-9]+' <<<"$line" | head -n 1)
  admin_address=${admin_address#http://}
}

# running PID: whether the process is there and has not ended; a child that nobody has waited for has ended.
running() { grep -qsE '^State:[[:space:]]+[^ZX]' "/proc/$1/status"; }

# end_server PID SECONDS: SIGTERM and wait for the drain. Status 1 when it had to be killed.
end_server() {
  local end=$((SECONDS + $2))
  kill -TERM "$1" 2>/dev/null || return 0
  while running "$1"; do
    if [ $SECONDS -ge $end ]; then
      kill -KILL "$1" 2>/dev/null
      return 1
    fi
    sleep 0.02
  done
}

# expected_columns GOLDEN: the names of the columns that hold the training library's answers, one a line.
expected_columns() { head -n 1 "$1" | tr -d '\r' | tr ',' '\n' | grep '^expected_'; }

# score_golden BINARY MODELS URL: scores golden.csv beside every version and compares; one line a version.
score_golden() {
  local binary=$1 models=$2 url=$3 golden version name column keep status=0
  for golden in "$models"/*/*/golden.csv; do
    [ -e "$golden" ] || continue
    version=$(basename "$(dirname "$golden")")
    name=$(basename "$(dirname "$(dirname "$golden")")")
    keep=()
    for column in $(expected_columns "$golden"); do keep+=(--keep "$column"); done
    "$binary" score "$name" "$golden" --server "$url" --version "$version" --ignore-extra --missing '' --format csv \
      "${keep[@]}" | "$scripts/compare-golden" "$name/$version" || status=1
  done
  return $status
}
