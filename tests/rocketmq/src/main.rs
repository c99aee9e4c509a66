//! The child processes: `idem-rocketmq broker {…}` and `idem-rocketmq consumer {…}`, with their settings as JSON. Each says
//! `READY` once it works, and ends on SIGTERM.

#![recursion_limit = "512"]

use idem_rocketmq::{broker, client, consumer};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

fn main() -> client::Outcome<()> {
    // The log is shown in the test's report if the test fails.
    let level = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr).with_ansi(false).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match [arguments[0].as_str(), arguments[1].as_str()] {
        ["broker", place] => broker::run(&serde_json::from_str(place)?),
        ["consumer", settings] => consumer::run(serde_json::from_str(settings)?),
        [other, _] => panic!("a broker or a consumer, and not {other}"),
    }
}
