#!/usr/bin/env bash
# Starts, stops and kills Switchboard for the load harness, in the production shape (PostgreSQL).
#   run_switchboard.sh start | resume | kill9 [worker] | stop | pids | url | counts | idle
# DATABASE_URL=postgresql:///switchboard_bench (start empties it) BENCH_DIR=/tmp/bench PORT=8200
# ECHO_URL=http://127.0.0.1:9900
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export DATABASE_URL=${DATABASE_URL:-postgresql:///switchboard_bench}
export ECHO_URL=${ECHO_URL:-http://127.0.0.1:9900} PORT=${PORT:-8200}
RUN=${BENCH_DIR:-/tmp/bench}/run/switchboard-$PORT
export SWITCHBOARD_DATA_DIR=$RUN/data SWITCHBOARD_URL=http://127.0.0.1:$PORT
mkdir -p "$RUN"
alive() { [ -s "$RUN/main.pid" ] && grep -qs '^State:.[^ZX]' "/proc/$(cat "$RUN/main.pid")/status"; }
sql() { psql -qAt "$DATABASE_URL" -c "$1"; }
ready() { [ "$(curl -s -o /dev/null -w '%{http_code}' -X POST -H 'content-type: application/json' \
  -d '{"order": {"total": 1}}' "$SWITCHBOARD_URL/hooks/bench-f1")" = 202 ]; }
up() {
  alive && return
  setsid nohup make -C "$HERE" bench-target >>"$RUN/main.log" 2>&1 &
  echo $! > "$RUN/main.pid"
  for _ in $(seq 300); do ready && return; alive || break; sleep .2; done
  tail -20 "$RUN/main.log"; return 1
}
start() {
  stop; rm -rf "$RUN/data" "$RUN/main.log"
  name=${DATABASE_URL##*/}; name=${name%%\?*}; base=${DATABASE_URL%/*}
  psql -q "$base/postgres" -c "DROP DATABASE IF EXISTS $name WITH (FORCE)" -c "CREATE DATABASE $name"
  up; pids
}
family() { echo "$1"; for child in $(pgrep -P "$1"); do family "$child"; done; }
pid_of() { family "$(cat "$RUN/main.pid")" | while read -r pid; do
  tr '\0' ' ' < "/proc/$pid/cmdline" | grep -q "$1" && { echo "$pid"; break; }; done; }
pids() { alive && echo "switchboard=$(cat "$RUN/main.pid")" || true; }
kill9() {
  alive || return 0
  if [ "${1:-}" = worker ]; then kill -9 "$(pid_of 'manage.py work')"; return; fi
  # shellcheck disable=SC2046
  kill -9 $(family "$(cat "$RUN/main.pid")")
}
stop() {
  if alive; then
    for pid in $(family "$(cat "$RUN/main.pid")"); do kill "$pid" 2>/dev/null || true; break; done
    kill "$(pid_of 'processes.py')" 2>/dev/null || true
    for _ in $(seq 400); do alive || break; sleep .1; done
  fi
  rm -f "$RUN/main.pid"
}
counts() { sql "SELECT state, count(*) FROM engine_run GROUP BY 1"; sql "SELECT 'call ' || state, count(*) FROM engine_call GROUP BY 1"; }
idle() { for _ in $(seq "$((${1:-60} * 2))"); do [ "$(sql "SELECT count(*) FROM engine_run WHERE state IN ('due', 'leased')")" = 0 ] && return; sleep .5; done; return 1; }
case "${1:-}" in
  start) start ;; resume) up; pids ;; stop) stop ;; pids) pids ;; kill9) kill9 "${2:-}" ;;
  url) echo "$SWITCHBOARD_URL/hooks" ;; counts) counts ;; idle) idle "${2:-60}" ;;
  *) sed -n '2,6p' "$0"; exit 2 ;;
esac
