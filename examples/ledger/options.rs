//! The command line.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

pub(crate) const HELP: &str = "\
Moves money between accounts, once for each Idempotency-Key.

Usage: cargo run --example ledger -- [OPTIONS]

      --listen ADDRESS   where to serve; with port 0, on a free one [default: 127.0.0.1:3000]
      --data DIR         where accounts and keys are kept, in ledger.sqlite [default: ledger-data]
      --store URL        where they are kept instead: postgres://… or sqlite:FILE
  -h, --help             this text

  POST /transfers        {\"from\":\"alice\",\"to\":\"bob\",\"cents\":2500}, with the header Idempotency-Key
  GET /accounts/{id}     what an account holds; alice, bob and carol are opened at the first start

Ctrl-C ends it, once the requests that are under way have their answers.
";

pub(crate) struct Options {
    pub(crate) listen: String,
    data: PathBuf,
    store: Option<String>,
}

/// The options, or `None` if help is asked for.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { listen: "127.0.0.1:3000".to_owned(), data: PathBuf::from("ledger-data"), store: None };
    let mut parser = Parser::from_iter(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("listen") => options.listen = parser.value()?.parse()?,
            Arg::Long("data") => options.data = parser.value()?.into(),
            Arg::Long("store") => options.store = Some(parser.value()?.parse()?),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(Some(options))
}

impl Options {
    /// The URL of the database. Creates the data folder if the database is a file in it.
    pub(crate) fn database(&self) -> io::Result<String> {
        match &self.store {
            Some(url) if url.starts_with("sqlite:") && !url.contains('?') => Ok(format!("{url}?mode=rwc")),
            Some(url) => Ok(url.clone()),
            None => {
                let named =
                    |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", self.data.display()));
                fs::create_dir_all(&self.data).map_err(named)?;
                Ok(format!("sqlite:{}?mode=rwc", self.data.join("ledger.sqlite").display()))
            }
        }
    }
}
