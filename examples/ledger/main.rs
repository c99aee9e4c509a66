//! Moves money between accounts over HTTP, once for each `Idempotency-Key`.
//!
//! ```sh
//! cargo run --example ledger                     # on SQLite, in ledger-data
//! cargo run --example ledger -- --store postgres://user@localhost/bank
//! cargo run --example ledger -- --help
//!
//! curl -i localhost:3000/transfers -H 'Idempotency-Key: "invoice-17"' --json '{"from":"alice","to":"bob","cents":2500}'
//! curl -i localhost:3000/accounts/alice
//! ```
//!
//! The idempotent handler is in `transfer.rs`, and the transaction around it in `bank.rs`. The other files
//! have the requests and answers of HTTP (`http.rs`, `problem.rs`), and a type for two databases (`database.rs`, `account.rs`).

mod account;
mod bank;
mod database;
mod http;
mod options;
mod problem;
mod transfer;

use std::error::Error;
use std::process::ExitCode;

use tokio::net::TcpListener;

use crate::bank::Bank;
use crate::database::Database;

/// Why the service can't start.
type Fatal = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ledger: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<(), Fatal> {
    let options = options::parse(std::env::args_os()).map_err(|error| format!("{error}; see --help"))?;
    let Some(options) = options else {
        print!("{}", options::HELP);
        return Ok(());
    };
    let listen = &options.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("can't listen on {listen}: {error}; choose another with --listen"))?;
    let bank = Bank { database: Database::open(&options.database()?).await? };
    println!("listening on http://{}", listener.local_addr()?);
    // It returns when the requests are finished. Nothing is left to drain: in tx mode, the library does nothing in the background.
    axum::serve(listener, http::routes(bank)).with_graceful_shutdown(interrupted()).await?;
    Ok(())
}

/// Waits for Ctrl-C. A second Ctrl-C ends the process at once, and the transactions of the requests under way are rolled back.
async fn interrupted() {
    // If no handler can be installed, the signal ends the process.
    if tokio::signal::ctrl_c().await.is_err() {
        return std::future::pending().await;
    }
    eprintln!("ledger: finishing what is under way; Ctrl-C again ends it at once");
    tokio::spawn(async {
        let _ = tokio::signal::ctrl_c().await;
        std::process::exit(130);
    });
}
