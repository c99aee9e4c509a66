//! Answering a claim without writing.

use super::failure::Failure;
use super::file::File;
use super::job::Job;
use super::rows;
use crate::protocol::{self, Micros, Reply};
use crate::store::Record;

/// Returns the answer to a claim if it needs no write.
pub(super) fn look(file: &File, job: &Job, now: Micros) -> Result<Option<(Reply, Option<Record>)>, Failure> {
    let (reply, record) = rows::find(file, &job.scope, &job.key, |row| {
        let Some(row) = row else { return (None, false) };
        let next = job.with_operation(|operation| protocol::step(Some(row), operation, now));
        let reply = next.row.is_none().then_some(next.reply);
        (reply, reply == Some(Reply::Completed))
    })?;
    Ok(reply.map(|reply| (reply, record)))
}
