//! The claim protocol as one pure function: [`step`] takes a row, an operation and the time of the store's clock, and
//! returns the row to write and the answer.
//!
//! It is the executable specification. `MemoryStore` and `SqliteStore` call it, and the conformance suite compares
//! every other store with it. To write a store of your own, find the row, call [`step`] under a lock or in a
//! transaction, and write the row that it returns.
//!
//! Its rules were model-checked (`tests/model`) with two and with three workers, where each request and each answer can
//! be lost, late or repeated at any time. A comment that begins with "Without this" says what the model finds when the
//! rule below it is removed.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use idem_runtime::protocol::{self, Operation, Reply, Row};
//! use idem_runtime::store::{ClaimRequest, Key, Owner};
//!
//! let key = Key::from_bytes(b"order-1").unwrap();
//! let request = ClaimRequest::new("charge", &key, Owner([1; 16]), Duration::from_secs(60));
//! let now = 1_000_000;
//! let next = protocol::step(None, Operation::Claim(&request), now);
//! assert!(matches!(next.reply, Reply::Acquired(grant) if grant.attempt == 1));
//!
//! // A rival finds the row that the first claim wrote.
//! let row: Row = next.row.unwrap();
//! let rival = ClaimRequest::new("charge", &key, Owner([2; 16]), Duration::from_secs(60));
//! let next = protocol::step(Some(&row), Operation::Claim(&rival), now + 1);
//! assert!(matches!(next.reply, Reply::InProgress { .. }));
//! assert!(next.row.is_none(), "a duplicate writes nothing");
//! ```

// This room may import none of the others (ARCHITECTURE.md, "Floors"). It knows no clock, no store, no serde and no
// randomness: its callers give it the time, the owner and the bytes of the record.

mod blob;
pub(crate) mod key;
pub(crate) mod request;
mod row;
mod step;
pub(crate) mod values;

pub(crate) use self::key::Key;
pub(crate) use self::request::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Completed, Leave, Orphans, ReleaseRequest, RenewRequest, Standing,
    WaitRequest, linger,
};
pub use self::row::{Ended, Row, State};
pub use self::step::{Next, Operation, Reply, step};
pub(crate) use self::values::{Fingerprint, Grant, Owner, Previous, Record};
pub use self::values::{Micros, micros};
