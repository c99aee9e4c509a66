#!/usr/bin/env bash
# redis (the crate): a server that refuses a command quotes the command's arguments in its error. If an argument isn't UTF-8, such as
# an id in bytes, the client can't read this error. It returns an error that says that the answer could not be parsed, and not that
# the server refused. A caller that repeats requests without an answer repeats this one too, and is refused each time.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
debian redis-server redis-tools

port=$(free_port)
redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$work" --rename-command EVALSHA '' >/dev/null &
eventually 'redis-cli -p "$port" ping'

program 'redis = { version = "=1.8.1", default-features = false }' <<'RS'
fn main() {
    let url = std::env::args().nth(1).unwrap();
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    for (name, argument) in [("text", &b"id"[..]), ("bytes", &[0xff, 0xfe])] {
        let answer: redis::RedisResult<()> = redis::cmd("EVALSHA").arg("0").arg(argument).query(&mut connection);
        let error = answer.unwrap_err();
        println!("{name}: {:?}, code {:?}", error.kind(), error.code());
    }
}
RS
"$work/program" "redis://127.0.0.1:$port/" | tee "$work/out"
said "$(redis-server --version | cut -d ' ' -f 1-3), redis 1.8.1: what the same refusal is to the client, above"
expect "$(sed -n 's/^text: //p' "$work/out")" 'Server(ResponseError), code Some("ERR")'
expect "$(sed -n 's/^bytes: //p' "$work/out")" 'Parse, code None'
