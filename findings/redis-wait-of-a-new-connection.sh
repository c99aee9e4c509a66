#!/usr/bin/env bash
# Redis: on a connection that has written nothing, WAIT answers at once with the number of connected replicas. In this run the only
# replica is stopped, and has none of the writes that other connections have made.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
debian redis-server redis-tools

primary=$(free_port) replica=$(free_port)
start() { redis-server --port "$1" --bind 127.0.0.1 --save '' --appendonly no --dir "$work" "${@:2}" >/dev/null & }
start "$primary"
start "$replica" --replicaof "127.0.0.1 $primary"
stopped=$!
ask() { redis-cli -p "$primary" "$@"; }
eventually 'ask info replication | grep -q "^slave0:.*state=online"'
ask set before 1 >/dev/null
eventually '[ "$(printf "set seen 1\nwait 1 100\n" | ask | tail -n 1)" = 1 ]'

kill -STOP "$stopped"
# On one connection: a write, and a WAIT for it.
own=$(printf 'set after 1\nwait 1 300\n' | ask | tail -n 1)
# On another connection, which has written nothing, as if the client had reconnected in between.
new=$(ask wait 1 300)
kill -CONT "$stopped"

said "$(redis-server --version | cut -d ' ' -f 1-3)"
said "WAIT behind its own write: $own; WAIT of a new connection: $new"
expect "$own" 0
expect "$new" 1
