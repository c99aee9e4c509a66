//! What requests, answers and rows are made of, beside the key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::blob::Blob;

/// A time of the store's clock: microseconds since the Unix epoch.
///
/// A fence is at least the time of its claim, so it fits in 53 bits until the year 2255: exact in Lua and JSON.
pub type Micros = u64;

/// A duration as the protocol counts it. Longer than a century is for ever, and adding a few of them doesn't overflow.
pub fn micros(duration: Duration) -> Micros {
    const FOR_EVER: u64 = 1 << 52;
    u64::try_from(duration.as_micros()).map_or(FOR_EVER, |micros| micros.min(FOR_EVER))
}

/// Who claims: 128 random bits, fresh for each call of a handler, and kept when a request is repeated after a lost
/// answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub [u8; 16]);

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({:032x})", u128::from_be_bytes(self.0))
    }
}

/// A digest of what a key stands for, to tell a duplicate from another request that reuses the key: the first 128 bits
/// of SHA-256 over the canonical encoding of the fingerprinted values.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

/// Shows nothing of the value: not even its digest, which a small input space would give away.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

/// What is remembered of a completed call: an encoded result, led by the version of its format.
///
/// Opaque to a store, which keeps and returns the bytes as they are. At most 94 bytes are held in place; cloning
/// allocates nothing.
#[derive(Clone)]
pub struct Record(Blob<94>);

impl Record {
    /// A record with these bytes, as [`Record::as_bytes`] gave them.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Blob::new(bytes))
    }

    /// What a store keeps.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl From<Arc<[u8]>> for Record {
    /// Shares the bytes.
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

/// Shows the size only: a result can hold what no log may.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} bytes)", self.as_bytes().len())
    }
}

/// What is known of the key's last holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Previous {
    /// Nobody held the key before, or all that is known of it has expired.
    First,
    /// The handler returned an `Err`, and the key was freed.
    AfterFailure,
    /// The holder died, panicked, was cancelled, or kept the key: what it did is unknown.
    AfterCrash {
        /// That holder's fence.
        fence: u64,
    },
}

/// A claim that was granted: the right to run the handler while the lease holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The fencing token. Of one key it only ever grows, so a downstream that keeps the highest it has seen can refuse
    /// a holder that has lost its lease (Kleppmann, "How to do distributed locking", 2016).
    pub fence: u64,
    /// How many times the handler has been started for this key, this time included.
    pub attempt: u32,
    /// What is known of the last holder.
    pub previous: Previous,
}
