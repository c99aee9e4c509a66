//! The input: one delivery per line, as JSON.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::thread;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::options::Input;

/// One delivery of a message.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    /// The broker's id of the message. It says nothing about duplicates: an order that is sent again has a new one.
    pub(crate) message: String,
    pub(crate) order: Order,
}

/// The order that is to be charged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The business key. Producers forget it, so it may be missing.
    #[serde(default)]
    pub(crate) id: Option<String>,
    pub(crate) cents: u64,
}

/// A line of the input.
pub(crate) struct Line {
    /// The number of the line, counted from 1.
    pub(crate) number: u64,
    /// The delivery, or why the line can't be read as one.
    pub(crate) delivery: Result<Delivery, serde_json::Error>,
}

/// The deliveries of an input.
pub(crate) struct Deliveries {
    pub(crate) lines: mpsc::Receiver<io::Result<Line>>,
    /// How many lines there are, if that is known beforehand.
    pub(crate) expected: Option<u64>,
}

/// Reads on a thread of its own: reading standard input may block, and must not block the handlers.
pub(crate) fn read(input: &Input) -> io::Result<Deliveries> {
    let (mut expected, source): (_, Box<dyn Read + Send>) = match input {
        Input::Stdin => (None, Box::new(io::stdin())),
        Input::File(path) => {
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            let file = File::open(path).map_err(named)?;
            let meta = file.metadata().map_err(named)?;
            if meta.is_dir() {
                return Err(named(io::ErrorKind::IsADirectory.into()));
            }
            // A pipe can be read only once.
            let expected = if meta.is_file() { Some(count_lines(path).map_err(named)?) } else { None };
            (expected, Box::new(file))
        }
    };
    if expected == Some(0) {
        expected = None;
    }
    // Bounded, so that a fast producer doesn't fill the memory.
    let (sender, lines) = mpsc::channel(1024);
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        for line in parse(BufReader::new(source)) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(Deliveries { lines, expected })
}

/// Sends each line that isn't blank. Ends at the first error of the source.
fn parse(mut source: impl BufRead) -> impl Iterator<Item = io::Result<Line>> {
    let (mut bytes, mut number, mut broken) = (Vec::new(), 0, false);
    std::iter::from_fn(move || {
        while !broken {
            bytes.clear();
            number += 1;
            match source.read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(_) if bytes.trim_ascii().is_empty() => {}
                // Parsed from bytes, so that a line that isn't UTF-8 is one bad line, and doesn't end the input.
                Ok(_) => return Some(Ok(Line { number, delivery: serde_json::from_slice(&bytes) })),
                Err(error) => {
                    broken = true;
                    return Some(Err(io::Error::new(error.kind(), format!("reading line {number}: {error}"))));
                }
            }
        }
        None
    })
}

fn count_lines(path: &std::path::Path) -> io::Result<u64> {
    let mut lines = 0;
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        lines += u64::from(!line?.trim_ascii().is_empty());
    }
    Ok(lines)
}
