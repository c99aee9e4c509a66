//! Deleting the rows that nobody needs any more, a bounded number at a time.

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::dialect::MySql;
use super::session::Session;
use super::{Inner, rows, statements};
use crate::store::sql::{Failure, LONGEST_STATEMENT};
use crate::timer;

/// Deletes at most so many rows in one transaction: two round trips, or one where there is nothing to delete.
pub(super) async fn sweep(session: &Session, at_most: usize) -> Result<usize, Failure> {
    session.patiently(|| sweep_once(session, at_most)).await
}

async fn sweep_once(session: &Session, at_most: usize) -> Result<usize, Failure> {
    let mut using = session.connect(true).await?;
    let mut script = session.transaction();
    statements::lock_sweepable(&mut script.sql, at_most)?;
    let (locking, end) = script.parts();
    let found = using.run(Arc::new(locking), false).await?.rows;
    let mut keys = found.iter().map(rows::place).collect::<Result<Vec<_>, _>>()?;
    // In the order of the primary key, as everyone's.
    keys.sort_unstable();
    let mut sql = String::new();
    if !keys.is_empty() {
        statements::delete(&mut sql, &keys)?;
    }
    sql.push_str(end);
    using.run(Arc::new(sql), true).await?;
    using.put_back();
    Ok(keys.len())
}

/// Sweeps for as long as the store is open.
pub(super) async fn sweep_on(store: Weak<Inner>, interval: Duration) {
    const SOON: Duration = Duration::from_millis(10);
    let mut pause = interval;
    loop {
        // Not in step with other processes.
        let [random, ..] = crate::store::Owner::random().0;
        timer::sleep(pause.mul_f64(0.75 + f64::from(random) / 512.0)).await;
        let Some(store) = store.upgrade() else { return };
        let swept = timer::within(|| LONGEST_STATEMENT, pin!(sweep(&store.session, store.sweep_batch))).await;
        pause = match swept.unwrap_or(Err(Failure::TimedOut(LONGEST_STATEMENT))) {
            Ok(swept) if swept == store.sweep_batch => interval.min(SOON),
            Ok(_) => interval,
            Err(failure) => {
                let error = failure.into_error::<MySql>();
                tracing::warn!(%error, "the sweep of a MySQL store failed");
                interval
            }
        };
    }
}
