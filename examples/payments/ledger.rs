//! The provider's ledger of charges: a file of JSON lines, to which lines are only appended.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One charge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The idempotency key that the merchant sent, if any.
    pub(crate) idempotency_key: Option<String>,
    pub(crate) order: String,
    pub(crate) cents: u64,
    /// The provider's id of the charge.
    pub(crate) charge: String,
}

/// The ledger's file, and what was read of it so far.
///
/// A charge is one `write`, so it survives a crash of the process. It is not synced, so it may not survive a power failure; at a real
/// provider it does.
pub(crate) struct Ledger {
    appending: File,
    /// The file, opened a second time, with a reading position of its own.
    reading: File,
    entries: Vec<Entry>,
    /// The place of the entry with each idempotency key.
    by_key: HashMap<String, usize>,
    /// The part of a line that was read so far.
    unread: Vec<u8>,
}

impl Ledger {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let appending = OpenOptions::new().create(true).append(true).open(path)?;
        let reading = File::open(path)?;
        let mut ledger = Self { appending, reading, entries: Vec::new(), by_key: HashMap::new(), unread: Vec::new() };
        ledger.catch_up()?;
        Ok(ledger)
    }

    /// Reads what was appended since the last time, by this process or by another one with the same data.
    pub(crate) fn catch_up(&mut self) -> io::Result<()> {
        self.reading.read_to_end(&mut self.unread)?;
        let Some(end) = self.unread.iter().rposition(|&byte| byte == b'\n') else { return Ok(()) };
        let lines: Vec<u8> = self.unread.drain(..=end).collect();
        for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let entry: Entry = serde_json::from_slice(line).map_err(|error| {
                let number = self.entries.len() + 1;
                io::Error::new(io::ErrorKind::InvalidData, format!("line {number} of the ledger: {error}"))
            })?;
            if let Some(key) = &entry.idempotency_key {
                self.by_key.insert(key.clone(), self.entries.len());
            }
            self.entries.push(entry);
        }
        Ok(())
    }

    /// The charge that was made with this idempotency key.
    pub(crate) fn find(&self, idempotency_key: &str) -> Option<&Entry> {
        self.by_key.get(idempotency_key).map(|&index| &self.entries[index])
    }

    /// Appends a charge.
    pub(crate) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.appending.write_all(&line)
    }

    /// Every charge that was read so far, in the order in which they were made.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
