//! What the writer is asked to do.

use super::job::Job;
use super::pace::Asked;

/// An order to the writer.
#[derive(Debug)]
pub(super) enum Order {
    Job(Box<Job>),
    /// Delete rows that nobody needs.
    Sweep(Asked),
}
