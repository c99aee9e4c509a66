//! The protocol's words: who claims what, for how long, and what the store answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::key::{self, IdempotencyKey, KeyInput};

/// Bytes that are stored in place while they are at most `N`, and shared on the heap beyond.
///
/// Cloning never copies more than `N` bytes, and allocates nothing.
#[derive(Clone)]
pub(crate) enum Blob<const N: usize> {
    Inline { len: u8, bytes: [u8; N] },
    Shared(Arc<[u8]>),
}

impl<const N: usize> Blob<N> {
    pub(crate) fn new(from: &[u8]) -> Self {
        const { assert!(N <= u8::MAX as usize) };
        if from.len() <= N {
            let mut bytes = [0; N];
            bytes[..from.len()].copy_from_slice(from);
            #[expect(clippy::cast_possible_truncation, reason = "N fits in a byte")]
            Self::Inline { len: from.len() as u8, bytes }
        } else {
            Self::Shared(from.into())
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Shared(bytes) => bytes,
        }
    }
}

/// An encoded idempotency key: what distinguishes one business fact from another within a scope.
///
/// At most [`Key::MAX_LEN`] bytes, binary-safe, compared byte by byte. Made from a value by
/// [`Key::of`].
#[derive(Clone)]
pub struct Key(pub(crate) Blob<46>);

impl Key {
    /// The longest encoded key, in bytes. Long enough for any business key, short enough for the primary key of every
    /// store.
    pub const MAX_LEN: usize = 1024;

    /// The key with these encoded bytes; `None` if there are none of them, or more than [`Key::MAX_LEN`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty() && bytes.len() <= Self::MAX_LEN).then(|| Self(Blob::new(bytes)))
    }

    /// Of a call that has no key. No store is ever given it.
    pub(crate) fn empty() -> Self {
        Self(Blob::new(&[]))
    }

    /// Whether there is no key: so in a handler that runs without one.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The key of a value, as a handler's attribute makes it; `None` if it is missing or too long.
    ///
    /// ```
    /// use idem_runtime::store::Key;
    ///
    /// assert_eq!(Key::of(&("tenant", 42)).unwrap().to_string(), "tenant/42");
    /// assert!(Key::of(&None::<u32>).is_none());
    /// ```
    pub fn of(value: &(impl IdempotencyKey + ?Sized)) -> Option<Self> {
        match key::encode(value) {
            KeyInput::Key(key) => Some(key),
            KeyInput::Missing | KeyInput::TooLong(_) => None,
        }
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

/// A key that was made of one text is that text.
impl PartialEq<str> for Key {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

/// Readable, for a message or a log: the parts of a composite are divided by `/`, and control characters and invalid
/// UTF-8 are escaped.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.as_bytes();
        // A composite begins with a separator.
        for chunk in bytes.strip_prefix(b"\x1f").unwrap_or(bytes).utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    // The separator of composite keys (see `key.rs`).
                    '\u{1f}' => f.write_str("/")?,
                    c if c.is_control() => write!(f, "{}", c.escape_default())?,
                    c => fmt::Write::write_char(f, c)?,
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
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

/// What a claim does with a key whose holder's outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Orphans {
    /// Take it over: `on_crash = "rerun"`, or a function that asks.
    Take,
    /// Leave it for someone to resolve: `on_crash = "park"`.
    Refuse,
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

/// Asks for a key.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClaimRequest<'a> {
    /// The namespace of the key.
    pub scope: &'a str,
    /// The key.
    pub key: &'a Key,
    /// Who asks.
    pub owner: Owner,
    /// How long a holder may be silent before another may take over.
    pub lease: Duration,
    /// A digest of what the key stands for. Where either side has none, they match.
    pub fingerprint: Option<Fingerprint>,
    /// What to do with a key whose holder's outcome is unknown.
    pub orphans: Orphans,
    /// How long beyond its lease the row stays if this claim is never ended. `None`: until someone resolves it.
    pub retain: Option<Duration>,
}

impl<'a> ClaimRequest<'a> {
    /// A claim without fingerprint that takes orphans over and is forgotten a week after its lease.
    pub fn new(scope: &'a str, key: &'a Key, owner: Owner, lease: Duration) -> Self {
        let retain = Some(Duration::from_secs(7 * 24 * 60 * 60));
        Self { scope, key, owner, lease, fingerprint: None, orphans: Orphans::Take, retain }
    }

    /// How long from now the row stays if this claim is never ended: what its `purge_at` is made of. `None`: for ever.
    pub fn stays(&self) -> Option<Duration> {
        stays(self.lease, self.retain)
    }
}

/// The answer to a [`ClaimRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimAnswer {
    /// The key is the caller's.
    Acquired(Grant),
    /// Another holds a live lease.
    InProgress {
        /// What is left of it.
        remaining: Duration,
    },
    /// The key was completed, and this is what was recorded.
    Completed(Record),
    /// The last holder's outcome is unknown, and the request said to leave it: [`Orphans::Refuse`].
    Orphaned,
    /// The key is taken by a request with another fingerprint.
    KeyReused,
    /// This owner has left: a late copy of its request. Whoever still wants the key draws a new owner.
    Ended,
}

/// Asks to hold a key for longer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RenewRequest<'a> {
    /// The namespace of the key.
    pub scope: &'a str,
    /// The key.
    pub key: &'a Key,
    /// Who holds it.
    pub owner: Owner,
    /// The fence that was granted.
    pub fence: u64,
    /// How long the lease is from now.
    pub lease: Duration,
    /// As in the claim.
    pub retain: Option<Duration>,
}

impl<'a> RenewRequest<'a> {
    /// A renewal of what `claim` was granted.
    pub fn new(claim: &ClaimRequest<'a>, fence: u64) -> Self {
        let ClaimRequest { scope, key, owner, lease, retain, .. } = *claim;
        Self { scope, key, owner, fence, lease, retain }
    }

    /// How long from now the row stays if nothing follows: what its `purge_at` is made of. `None`: for ever.
    pub fn stays(&self) -> Option<Duration> {
        stays(self.lease, self.retain)
    }
}

/// Records the outcome of a key.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CompleteRequest<'a> {
    /// The namespace of the key.
    pub scope: &'a str,
    /// The key.
    pub key: &'a Key,
    /// Who holds it.
    pub owner: Owner,
    /// The fence that was granted.
    pub fence: u64,
    /// What to remember.
    pub record: &'a Record,
    /// For how long, from now.
    pub ttl: Duration,
    /// How long the row outlives its `ttl`, so that a late copy of a request still finds it.
    pub linger: Duration,
}

impl<'a> CompleteRequest<'a> {
    /// The completion of what `claim` was granted.
    pub fn new(claim: &ClaimRequest<'a>, fence: u64, record: &'a Record, ttl: Duration) -> Self {
        let ClaimRequest { scope, key, owner, .. } = *claim;
        Self { scope, key, owner, fence, record, ttl, linger: linger(claim.lease) }
    }

    /// How long from now the row stays: what its `purge_at` is made of.
    pub fn stays(&self) -> Duration {
        self.ttl.saturating_add(self.linger)
    }
}

/// How a holder leaves a key that it didn't complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leave {
    /// The handler returned an `Err`: the key is free at once.
    Failed,
    /// The body was started and did not return: nobody knows what it did.
    OutcomeUnknown,
    /// The handler returned an `Err` that may have had an effect: the key is held until its lease ends.
    Keep,
    /// The body was not started. Goes by the owner alone, because the caller may not know whether it was granted
    /// anything.
    NotRun,
}

/// Leaves a key without completing it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ReleaseRequest<'a> {
    /// The namespace of the key.
    pub scope: &'a str,
    /// The key.
    pub key: &'a Key,
    /// Who leaves.
    pub owner: Owner,
    /// The fence that was granted. Of no meaning with [`Leave::NotRun`].
    pub fence: u64,
    /// How.
    pub how: Leave,
    /// How long a failed attempt is remembered.
    pub retain: Duration,
    /// How long the row stays though nothing needs it, so that a late copy of a request still finds it.
    pub linger: Duration,
}

impl<'a> ReleaseRequest<'a> {
    /// The release of what `claim` was granted; a failed attempt is remembered for a week.
    pub fn new(claim: &ClaimRequest<'a>, fence: u64, how: Leave) -> Self {
        let ClaimRequest { scope, key, owner, .. } = *claim;
        let retain = Duration::from_secs(7 * 24 * 60 * 60);
        Self { scope, key, owner, fence, how, retain, linger: linger(claim.lease) }
    }
}

/// Waits for a key to change hands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WaitRequest<'a> {
    /// The namespace of the key.
    pub scope: &'a str,
    /// The key.
    pub key: &'a Key,
    /// The longest to wait.
    pub at_most: Duration,
    /// How many times this caller has waited for this key before.
    pub round: u32,
}

impl<'a> WaitRequest<'a> {
    /// The first wait of a caller for this key.
    pub fn new(scope: &'a str, key: &'a Key, at_most: Duration) -> Self {
        Self { scope, key, at_most, round: 0 }
    }
}

/// The answer to a renewal, a completion or a release.
///
/// A caller does the same at [`Standing::Lost`] and at [`Standing::Gone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// Done, now or by an earlier copy of the request.
    Held,
    /// Refused: another owner has acquired the key since, or it was resolved, forgotten or has expired. Also where the key
    /// is unknown, if the store can't tell.
    Lost,
    /// Refused: the key is unknown. Nothing removes a row while it is held, so something outside the protocol took it, or
    /// its holder was silent until a sweep could.
    Gone,
}

fn stays(lease: Duration, retain: Option<Duration>) -> Option<Duration> {
    retain.map(|retain| lease.saturating_add(retain.max(linger(lease))))
}

/// How long an ended row stays at least: longer than any copy of a request is under way.
pub(crate) fn linger(lease: Duration) -> Duration {
    const LONGEST_REQUEST: Duration = Duration::from_secs(60);
    lease.max(LONGEST_REQUEST)
}

/// The longest scope, in bytes: with the longest key it fits into a primary key of every database.
pub(crate) const MAX_SCOPE_LEN: usize = 1024;

/// A number as SQL has it.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A duration in microseconds, as SQL has it.
pub(crate) fn interval(duration: Duration) -> i64 {
    integer(crate::protocol::micros(duration))
}

/// How far from now a row's `purge_at` has to be, at least and at most. One that already is stays what it is, so that
/// most completions change no indexed column.
pub(crate) fn purge_window(stays: Duration) -> (i64, i64) {
    let least = interval(stays);
    (least, least + least / 32)
}
