//! The claim protocol as one pure function: [`step`] takes a row, an operation and the store's time, and says what the
//! row becomes and what the store answers.
//!
//! It is the executable specification. `MemoryStore` and `SqliteStore` call it; the conformance suite holds every other
//! store against it. A store of one's own is as short as: find the row, call [`step`] under a lock or in a transaction,
//! write what it says.
//!
//! Its rules were model-checked (`tests/model`): two and three workers, with every request and answer lost, late or
//! repeated at any time. What stands in the comments as "without this" was found by taking the rule away.
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

mod blob;
pub(crate) mod key;
pub(crate) mod request;
mod row;
mod step;
pub(crate) mod values;

pub(crate) use self::key::Key;
pub(crate) use self::request::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Leave, Orphans, ReleaseRequest, RenewRequest, Standing, WaitRequest,
    linger,
};
pub use self::row::{Ended, Row, State};
pub use self::step::{Next, Operation, Reply, step};
pub(crate) use self::values::{Fingerprint, Grant, Owner, Previous, Record};
pub use self::values::{Micros, micros};
