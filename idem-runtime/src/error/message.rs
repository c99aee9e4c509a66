//! The messages of [`Error`]. Each says what to do.

use std::fmt;

use super::{Error, ScopedKey};
use crate::protocol::Key;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingKey { scope, expression, part } => {
                write!(f, "the idempotency key in scope `{scope}` is missing: ")?;
                if let Some(part) = part {
                    write!(f, "part {part} of ")?;
                }
                write!(
                    f,
                    "`{expression}` is `None` or empty; give every message a key, or let such calls run unprotected with \
                     `missing_key = \"run\"`"
                )
            }
            Self::KeyTooLong { scope, length } => write!(
                f,
                "an idempotency key in scope `{scope}` is {length} bytes long, and {} are allowed: use an id, or \
                 `idem_runtime::key::digest` of the long part",
                Key::MAX_LEN
            ),
            Self::FingerprintUnavailable { scope } => write!(
                f,
                "the `fingerprint` of the handler with scope `{scope}` can't be encoded: serde refuses its value; name fields \
                 that serde can always encode"
            ),
            Self::InProgress { key, retry_after } => {
                write!(f, "{key} is being handled by another call: deliver again in {retry_after:.1?}")
            }
            Self::KeyReused { key } => write!(
                f,
                "{key} was used with another fingerprint: two different requests have the same key, so correct the producer"
            ),
            Self::OutcomeUnknown { key } => write!(
                f,
                "{key} is parked: its last call ended without an outcome on record, so nobody knows what it did; find out, \
                 then resolve the key with `IdempotencyAdmin::resolve`"
            ),
            Self::NoStore { scope } => write!(
                f,
                "the handler with scope `{scope}` has no store: call `idem_runtime::install(store)` once at start, or \
                 name one with `store = ...`; in a task that is spawned within `with_store`, `carry(future)` takes its \
                 store along"
            ),
            Self::ScopeTaken { scope, first, second } => write!(
                f,
                "the scope `{scope}` belongs to the handler at {first}, so the one at {second} would replay its results: \
                 give each handler a scope of its own"
            ),
            Self::Store { key, source } => write!(f, "{key} could not be claimed, so nothing ran: {source}"),
            Self::LeaseLost { key, executed, row_gone: true } => write!(
                f,
                "the lease of {key} was lost {}: the store has no such key any more, because it was evicted, flushed or lost \
                 in a failover, or because its holder was silent for longer than its lease and ttl, and a sweep deleted it{}; \
                 look at the store's eviction and failovers",
                if *executed { "while its handler ran" } else { "before its handler was started" },
                if *executed { ", so this result was not recorded" } else { "" },
            ),
            Self::LeaseLost { key, executed: true, .. } => write!(
                f,
                "the lease of {key} was lost while its handler ran: another call took the key, or someone resolved or \
                 forgot it, and this one's result was not recorded; make the lease longer if the handler blocks its thread"
            ),
            Self::LeaseLost { key, executed: false, .. } => {
                write!(f, "the lease of {key} was lost before its handler was started: deliver again")
            }
            Self::NotRecorded { key: Some(key), source, in_transaction: true } => write!(
                f,
                "the handler of {key} ran, but its outcome could not be recorded in the transaction: roll back: {source}"
            ),
            Self::NotRecorded { key: None, source, in_transaction: true } => write!(
                f,
                "nobody knows whether the transaction was committed: {source}; deliver again: each of its handlers replays \
                 its result if it was, and runs if it was not"
            ),
            Self::NotRecorded { key, source, in_transaction: false } => write!(
                f,
                "{} ran, but its outcome could not be recorded while its lease held: {source}; this process goes on trying \
                 for one lease more, and a redelivery that comes before that is handled as after a crash (`on_crash`)",
                Handler(key)
            ),
            Self::ResultUnavailable { key } => write!(
                f,
                "{key} is completed, but its result was not kept: it could not be encoded, or was too large for the store"
            ),
            Self::Decode { key, source } => write!(
                f,
                "{key} is completed, but its record can't be read: {source}; if the handler's type has changed, give new \
                 fields `#[serde(default)]`, or answer such duplicates with `on_decode`; if an operator resolved the key \
                 with another type, resolve it again"
            ),
            Self::WouldBlock { scope } => write!(
                f,
                "the sync handler with scope `{scope}` was called on the thread of a current-thread runtime, or in a \
                 `LocalSet`, which it would block: make it async, or call it in `spawn_blocking`, or give it a store that \
                 needs no runtime, such as `MemoryStore`, and no `wait`"
            ),
            Self::NotInTransaction { scope } => write!(
                f,
                "the handler with scope `{scope}` was given a connection that isn't in a transaction, as far as its driver \
                 or its database knows: begin one with the driver's own method, and roll it back where a statement in it \
                 fails"
            ),
            Self::Conflict { key: Some(key), source, .. } => write!(
                f,
                "the transaction of {key} conflicts with a concurrent one: roll back and try again, the whole transaction and \
                 not a savepoint alone: {source}"
            ),
            Self::Conflict { key: None, source, .. } => {
                write!(f, "the transaction was rolled back, not committed: try all of it again: {source}")
            }
            Self::TransactionLost { key, source } => write!(
                f,
                "the transaction of {} ended before the commit: {source}; a part of what it wrote may be committed, and nothing \
                 is recorded: compare the business rows with the message, and put them right before it is delivered again",
                Handler(key)
            ),
            Self::Config { message, source: None } => f.write_str(message),
            Self::Config { message, source: Some(source) } => write!(f, "{message}: {source}"),
        }
    }
}

/// Displays which handler an error is about. A commit's error has no key: it shows "a handler".
struct Handler<'a>(&'a Option<ScopedKey>);

impl fmt::Display for Handler<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(key) => write!(f, "the handler of {key}"),
            None => f.write_str("a handler"),
        }
    }
}
