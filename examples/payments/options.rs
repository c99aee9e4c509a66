//! The command line.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

pub(crate) const HELP: &str = "\
Charges each order once, however often its message is delivered.

Usage: cargo run --example payments -- [OPTIONS]

      --input FILE            deliveries, one JSON object a line; - is standard input
                              [default: the sample of 10,000 deliveries of 6,000 orders]
      --data DIR              where the keys and the ledger are kept [default: payments-data]
      --store URL             where the keys are kept instead: postgres://…, mysql://…, redis://… or sqlite:FILE
      --fresh                 forget the keys and the ledger first
      --concurrency N         how many deliveries are handled at a time, up to 1000 [default: 64]
      --provider-latency MS   how long the payment provider takes, in milliseconds [default: 4]
      --crash-after N         abort the process in the middle of the N-th handler: after its charge, before its record
      --no-derived-key        charge without an idempotency key: a crash can then repeat a charge
      --generate FILE         write the sample to FILE (- is standard output), and do nothing else
  -h, --help                  this text

A line is a delivery:
  {\"message\":\"A31F\",\"order\":{\"id\":\"order-17\",\"cents\":1999}}

Counts on standard output, one a line:
  deliveries           lines that were read
  executed             ended with a charge by this delivery
  replayed             ended with the recorded receipt of an earlier delivery
  in flight            met their order while it was being charged, and were delivered again
  failed and retried   failed before they were charged, and were delivered again
  refused              ended aside: no order id, another amount than the order's, no delivery at all
  ledger total         what the ledger holds for these orders, in cents
  expected total       the sum of the first amount of each order, in cents

Each delivery ends once: deliveries = executed + replayed + refused. Those in flight, and those that failed and were
retried, are counted on their way.

Exit code: 0 if every order is charged once and no line is unreadable, 1 if not, 2 if the work could not be done.
An unreadable line is refused with its number, and the others are handled.
";

pub(crate) enum Command {
    Help,
    Generate(PathBuf),
    Run(Options),
}

pub(crate) enum Input {
    Stdin,
    File(PathBuf),
}

pub(crate) struct Options {
    pub(crate) input: Input,
    data: PathBuf,
    store: Option<String>,
    pub(crate) fresh: bool,
    pub(crate) concurrency: usize,
    pub(crate) latency: Duration,
    pub(crate) crash_after: Option<u64>,
    pub(crate) derives_keys: bool,
}

/// Where the keys are kept.
pub(crate) struct Paths {
    /// A URL.
    pub(crate) store: String,
    pub(crate) ledger: PathBuf,
}

impl Paths {
    /// A URL can hold a password, so what stands before the server's name is not shown.
    pub(crate) fn shown_store(&self) -> String {
        match (self.store.split_once("://"), self.store.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, server))) => format!("{scheme}://{server}"),
            _ => self.store.clone(),
        }
    }
}

pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut options = Options {
        input: Input::File(Path::new(env!("CARGO_MANIFEST_DIR")).join("payments/deliveries.jsonl")),
        data: PathBuf::from("payments-data"),
        store: None,
        fresh: false,
        concurrency: 64,
        latency: Duration::from_millis(4),
        crash_after: None,
        derives_keys: true,
    };
    let mut parser = Parser::from_iter(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("input") => {
                let value = parser.value()?;
                options.input = if value == "-" { Input::Stdin } else { Input::File(value.into()) };
            }
            Arg::Long("data") => options.data = parser.value()?.into(),
            Arg::Long("store") => options.store = Some(parser.value()?.parse()?),
            Arg::Long("fresh") => options.fresh = true,
            Arg::Long("concurrency") => options.concurrency = parser.value()?.parse_with(concurrency)?,
            Arg::Long("provider-latency") => options.latency = Duration::from_millis(parser.value()?.parse()?),
            Arg::Long("crash-after") => options.crash_after = Some(parser.value()?.parse_with(at_least_one)?),
            Arg::Long("no-derived-key") => options.derives_keys = false,
            Arg::Long("generate") => return Ok(Command::Generate(parser.value()?.into())),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(Command::Run(options))
}

fn at_least_one(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|&number| number >= 1).ok_or("not a whole number from 1 on")
}

/// Bounded, as for every consumer. If an order and a delivery of it with another amount are handled at the same time, the first to
/// claim the key counts as the right one.
fn concurrency(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|number| (1..=1000).contains(number)).ok_or("not a whole number from 1 to 1000")
}

impl Options {
    /// Creates the data folder. With `--fresh`, deletes the files of this program in it.
    pub(crate) fn prepare_data(&self) -> io::Result<Paths> {
        let named =
            |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        fs::create_dir_all(&self.data).map_err(|error| named(&self.data, error))?;
        let keys = || format!("sqlite:{}", self.data.join("keys.sqlite").display());
        let paths = Paths { store: self.store.clone().unwrap_or_else(keys), ledger: self.data.join("ledger.jsonl") };
        if self.fresh {
            // Deletes file by file, as the folder may hold other files.
            for name in ["keys.sqlite", "keys.sqlite-wal", "keys.sqlite-shm", "ledger.jsonl"] {
                let path = self.data.join(name);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(&path, error)),
                    _ => {}
                }
            }
        }
        Ok(paths)
    }
}
