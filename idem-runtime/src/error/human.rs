//! The source of an error that no redelivery can help.

use std::error::Error as StdError;
use std::fmt;

/// The innermost [`source`](StdError::source) of such an error. A type around the error can hide it and pass on only
/// its source. A consumer then still finds this one in the chain, and knows that no redelivery can help.
#[derive(Debug)]
pub(crate) struct NeedsAHuman(pub(crate) &'static str);

impl NeedsAHuman {
    /// The source of an error that has no other.
    pub(super) const FIRST: &'static Self = &Self("no redelivery can help before a human has acted");
}

impl fmt::Display for NeedsAHuman {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for NeedsAHuman {}
