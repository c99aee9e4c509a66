//! What lies behind an error that no redelivery can help.

use std::error::Error as StdError;
use std::fmt;

/// The innermost [`source`](StdError::source) of such an error. It tells of the error where something around that passes on
/// the source, and hides the error itself.
#[derive(Debug)]
pub(crate) struct NeedsAHuman(pub(crate) &'static str);

impl NeedsAHuman {
    /// Of an error without another source.
    pub(super) const FIRST: &'static Self = &Self("no redelivery can help before a human has acted");
}

impl fmt::Display for NeedsAHuman {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for NeedsAHuman {}
