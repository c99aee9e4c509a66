//! The requests to the writer.

use super::job::Job;
use super::pace::Asked;

/// A request to the writer.
#[derive(Debug)]
pub(super) enum Order {
    Job(Box<Job>),
    /// Delete rows that are no longer needed.
    Sweep(Asked),
}
