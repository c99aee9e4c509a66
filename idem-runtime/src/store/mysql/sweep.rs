//! Sweeping: deleting the rows that are no longer needed, in bounded batches.

use std::sync::Arc;

use sqlx::Row as _;

use super::dialect::MySql;
use super::session::Session;
use super::{Inner, rows, statements};
use crate::store::sql::{Failure, Sweep, Sweeping, Swept, patiently};

impl Sweep for Inner {
    type Dialect = MySql;

    fn sweeping(&self) -> &Sweeping {
        &self.sweeping
    }

    /// In one transaction. Two round trips.
    async fn sweep(&self, at_most: usize, from: i64) -> Result<Swept, Failure> {
        patiently::<MySql, _, _>(|| sweep_once(&self.session, at_most, from)).await
    }
}

async fn sweep_once(session: &Session, at_most: usize, from: i64) -> Result<Swept, Failure> {
    let mut using = session.connect().await?;
    let mut script = session.transaction();
    statements::lock_sweepable(&mut script, at_most, from)?;
    let (locking, end) = script.parts();
    let found = using.run(Arc::new(locking), false).await?.rows;
    let reached = found.last().map(|row| row.try_get(3)).transpose()?;
    let mut keys = found.iter().map(rows::place).collect::<Result<Vec<_>, _>>()?;
    // In the order of the primary key, as all batches are, so that two don't deadlock.
    keys.sort_unstable();
    let mut script = session.single();
    statements::delete(&mut script, &keys)?;
    script.sql.push_str(end);
    using.run(Arc::new(script.sql), true).await?;
    using.put_back();
    Ok(Swept { rows: keys.len(), reached })
}
