//! The child processes: `idem-rocketmq broker {…}` and `idem-rocketmq consumer {…}`, with their settings as JSON. Each says
//! `READY` once it works, and ends on SIGTERM.

#![recursion_limit = "512"]

use idem_rocketmq::{broker, client, consumer};

fn main() -> client::Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match [arguments[0].as_str(), arguments[1].as_str()] {
        ["broker", place] => broker::run(&serde_json::from_str(place)?),
        ["consumer", settings] => consumer::run(serde_json::from_str(settings)?),
        [other, _] => panic!("a broker or a consumer, and not {other}"),
    }
}
