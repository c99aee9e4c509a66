//! The values in requests, answers and rows, beside the key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::blob::Blob;

/// A time of the store's clock, in microseconds since the Unix epoch.
///
/// A fence begins at the time of its claim, so it fits in 53 bits until the year 2255. Up to 53 bits, Lua and JSON
/// represent it exactly.
pub type Micros = u64;

/// A duration in microseconds. It is at most 2^52 (more than a century), so that adding a few of them doesn't overflow.
pub fn micros(duration: Duration) -> Micros {
    const FOR_EVER: u64 = 1 << 52;
    u64::try_from(duration.as_micros()).map_or(FOR_EVER, |micros| micros.min(FOR_EVER))
}

/// Who claims a key: 128 random bits. Each call of a handler draws its own, and keeps it when it repeats a request
/// after a lost answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub [u8; 16]);

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({:032x})", u128::from_be_bytes(self.0))
    }
}

/// A digest of the values that the attribute's `fingerprint` names. It tells a duplicate from a different request with
/// the same key. It is the first 128 bits of SHA-256 over the canonical encoding of the values.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

/// Doesn't show the digest, because the value could be guessed from it where few values are possible.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

/// The recorded outcome of a completed call: the version of the format, and the encoded result or error.
///
/// A store keeps and returns its bytes as they are. Up to 94 bytes are stored in place, and a clone allocates nothing.
#[derive(Clone)]
pub struct Record(Blob<94>);

impl Record {
    /// The record with these bytes, which came from [`Record::as_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Blob::new(bytes))
    }

    /// The bytes that a store keeps.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl From<Arc<[u8]>> for Record {
    /// Shares the bytes and doesn't copy them.
    fn from(bytes: Arc<[u8]>) -> Self {
        Self(Blob::Shared(bytes))
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Record {}

/// Shows only the size, because a result can hold values that must not be logged.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} bytes)", self.as_bytes().len())
    }
}

/// What the store knows about the key's last holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Previous {
    /// The key had no holder before, or its row has expired.
    First,
    /// The handler returned an `Err`, and the key was freed.
    AfterFailure,
    /// The holder died, panicked, was cancelled, or failed and kept the key (`on_error = "keep"`). What it did is
    /// unknown.
    AfterCrash {
        /// That holder's fence.
        fence: u64,
    },
}

/// What a claim that was granted gets: the right to run the handler while the lease holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The fencing token. For one key, it only ever grows. So a downstream service that keeps the highest one that it
    /// has seen can refuse a holder that has lost its lease (Kleppmann, "How to do distributed locking", 2016).
    pub fence: u64,
    /// How many times the handler was started for this key, this time included. Earlier times that did nothing aren't
    /// counted.
    pub attempt: u32,
    /// What the store knows about the last holder.
    pub previous: Previous,
}
