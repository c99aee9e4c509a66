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
//! The idempotent handler is in `charge.rs`, what a consumer does with its answers in `consumer.rs`. The rest is the
//! stage: a payment provider with its ledger (`provider.rs`, `ledger.rs`), and messages to consume (`delivery.rs`,
//! `sample.rs`).

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

/// The counts are printed, and something in them needs a human.
const NOT_SETTLED: u8 = 1;

/// The work could not be done, or not to its end.
const FAILED: u8 = 2;

/// How long the store is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why it could not.
type Fatal = Box<dyn Error + Send + Sync>;

// One thread is enough for work that waits: the keys are on disk, and the provider is far away.
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
        // The keys outlive the process: what one run has charged, the next one knows.
        store: keys::open(options, &paths).await?,
        provider: Provider::open(&paths.ledger, options.latency)?,
        derives_keys: options.derives_keys,
        crash: Crash::after(options.crash_after),
    });
    let input = delivery::read(&options.input)?;
    let consumed = consumer::consume(&shop, input, options.concurrency).await;
    // Handlers that were cancelled are left as such, or else their keys stay blocked for the rest of their leases.
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
