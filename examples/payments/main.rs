//! Charges each order once, however often its message is delivered.
//!
//! ```sh
//! cargo run --example payments                          # 10,000 deliveries of 6,000 orders
//! cargo run --example payments                          # again: executed 0
//! cargo run --example payments -- --fresh --crash-after 3000
//! cargo run --example payments                          # finishes what the crash left
//! cargo run --example payments -- --store postgres://user@localhost/shop
//! cargo run --example payments -- --help
//! ```
//!
//! The idempotent handler is in `charge.rs`, what a consumer does with its answers in `consumer.rs`. The other files
//! have a payment provider with its ledger (`provider.rs`, `ledger.rs`), and messages to consume (`delivery.rs`, `sample.rs`).

mod charge;
mod consumer;
mod delivery;
mod keys;
mod ledger;
mod options;
mod provider;
mod report;
mod sample;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::charge::{Crash, Shop};
use crate::options::{Command, Options};
use crate::provider::Provider;

/// The exit code if the counts were printed, and something in them needs a human.
const NOT_SETTLED: u8 = 1;

/// The exit code if the work could not be finished.
const FAILED: u8 = 2;

/// How long the program waits for the store at the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the work could not be finished.
type Fatal = Box<dyn Error + Send + Sync>;

// One thread is enough, as the handlers mostly wait for the disk and for the provider.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match options::parse(std::env::args_os()) {
        Ok(Command::Help) => report::print(options::HELP).map(|()| true).map_err(Into::into),
        Ok(Command::Generate(target)) => sample::write_to(&target).map(|()| true),
        Ok(Command::Run(options)) => run(&options).await,
        Err(error) => Err(format!("{error}; see --help").into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_SETTLED),
        Err(error) => {
            eprintln!("payments: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// Whether every order of the input is settled: charged once, with the right amount, and no line was unreadable.
async fn run(options: &Options) -> Result<bool, Fatal> {
    let paths = options.prepare_data()?;
    eprintln!("data: {} and {}", paths.shown_store(), paths.ledger.display());

    let shop = Arc::new(Shop {
        // The keys outlive the process: the next run knows what this one has charged.
        store: keys::open(options, &paths).await?,
        provider: Provider::open(&paths.ledger, options.latency)?,
        derives_keys: options.derives_keys,
        crash: Crash::after(options.crash_after),
    });
    let input = delivery::read(&options.input)?;
    let consumed = consumer::consume(&shop, input, options.concurrency).await;
    // The library tells the store of handlers that were cancelled. Without waiting for that, their keys would stay blocked for the
    // rest of their leases.
    let left = idem_runtime::drain(PATIENCE).await;
    if left > 0 {
        eprintln!("{left} keys stay blocked until their leases end");
    }
    let report = consumed?;

    let books = shop.provider.books()?;
    report::print(&report.counts(&books))?;
    for remark in report.remarks(&books) {
        eprintln!("{remark}");
    }
    if let Some(remark) = shop.crash.remark() {
        eprintln!("{remark}");
    }
    Ok(report.is_settled(&books))
}
