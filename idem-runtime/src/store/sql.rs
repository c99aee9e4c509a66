//! What PostgreSQL's and MySQL's stores share: owned requests, connections, batches, sweeping, and reading rows.

mod coalesce;
mod connections;
mod failure;
mod opening;
mod patience;
mod pool;
mod sweeper;

use std::time::Duration;

pub(super) use self::coalesce::{Lanes, Placed, Work, submit};
#[cfg(feature = "mysql")]
pub(super) use self::connections::Connected;
pub(super) use self::connections::Connections;
pub(super) use self::failure::{Dialect, Failure};
pub(super) use self::opening::Opening;
#[cfg(feature = "mysql")]
pub(super) use self::opening::Prepare;
#[cfg(feature = "postgres")]
pub(super) use self::opening::{Comparing, Sessions};
pub(super) use self::patience::patiently;
pub(super) use self::pool::{Place, compare};
pub(super) use self::sweeper::{Sweep, Sweeping, Swept, keep_swept, sweep_all};
use crate::protocol::{Ended, Row, State};
#[cfg(feature = "postgres")]
use crate::store::Grant;
use crate::store::{ClaimRequest, CompleteRequest, Fingerprint, Key, Orphans, Owner, Previous, Record};

/// The longest wait for a statement that no caller's deadline bounds: a batch or a sweep.
pub(super) const LONGEST_STATEMENT: Duration = Duration::from_secs(10);

/// An owned [`ClaimRequest`], which can wait in a queue.
#[derive(Clone, Debug)]
pub(super) struct Claiming {
    pub(super) scope: Box<str>,
    pub(super) key: Key,
    pub(super) owner: Owner,
    pub(super) lease: Duration,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) orphans: Orphans,
    pub(super) retain: Option<Duration>,
}

impl From<ClaimRequest<'_>> for Claiming {
    fn from(request: ClaimRequest<'_>) -> Self {
        let ClaimRequest { scope, key, owner, lease, fingerprint, orphans, retain } = request;
        Self { scope: scope.into(), key: key.clone(), owner, lease, fingerprint, orphans, retain }
    }
}

impl Claiming {
    /// The request, borrowed.
    pub(super) fn request(&self) -> ClaimRequest<'_> {
        let Self { owner, lease, fingerprint, orphans, retain, .. } = *self;
        ClaimRequest { scope: &self.scope, key: &self.key, owner, lease, fingerprint, orphans, retain }
    }
}

impl Placed for Claiming {
    fn place(&self) -> (&str, &Key) {
        (&self.scope, &self.key)
    }
}

/// An owned [`CompleteRequest`], which can wait in a queue.
#[derive(Clone, Debug)]
pub(super) struct Completing {
    pub(super) scope: Box<str>,
    pub(super) key: Key,
    pub(super) owner: Owner,
    pub(super) fence: u64,
    pub(super) record: Record,
    pub(super) ttl: Duration,
    pub(super) stays: Duration,
}

impl From<CompleteRequest<'_>> for Completing {
    fn from(request: CompleteRequest<'_>) -> Self {
        let CompleteRequest { scope, key, owner, fence, record, ttl, .. } = request;
        let (record, stays) = (record.clone(), request.stays());
        Self { scope: scope.into(), key: key.clone(), owner, fence, record, ttl, stays }
    }
}

impl Placed for Completing {
    fn place(&self) -> (&str, &Key) {
        (&self.scope, &self.key)
    }

    fn bytes(&self) -> usize {
        self.record.as_bytes().len()
    }
}

/// A row in SQL's types.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) state: i64,
    pub(super) owner: Vec<u8>,
    pub(super) fence: i64,
    pub(super) until: i64,
    pub(super) doubt: Option<i64>,
    pub(super) previous: i64,
    pub(super) previous_fence: Option<i64>,
    pub(super) attempt: i64,
    pub(super) fingerprint: Option<Vec<u8>>,
    pub(super) ended: Vec<u8>,
    pub(super) purge_at: Option<i64>,
}

impl Columns {
    /// The row, or the name of the column whose value isn't valid.
    pub(super) fn row(self) -> Result<Row, &'static str> {
        let (owners, rest) = self.ended.as_chunks::<16>();
        if !rest.is_empty() || owners.len() > Ended::SLOTS {
            return Err("ended");
        }
        Ok(Row {
            state: u8::try_from(self.state).ok().and_then(State::from_u8).ok_or("state")?,
            owner: Owner(self.owner.try_into().map_err(|_| "owner")?),
            fence: unsigned(self.fence, "fence")?,
            until: unsigned(self.until, "until")?,
            doubt: self.doubt.map(|doubt| unsigned(doubt, "doubt")).transpose()?,
            previous: previous(self.previous, self.previous_fence)?,
            attempt: attempt(self.attempt)?,
            fingerprint: match self.fingerprint {
                None => None,
                Some(bytes) => Some(Fingerprint(bytes.try_into().map_err(|_| "fingerprint")?)),
            },
            ended: Ended::from_owners(owners.iter().copied().map(Owner)),
            purge_at: self.purge_at.map(|at| unsigned(at, "purge_at")).transpose()?,
        })
    }
}

/// A number that is never negative, or its column's name.
fn unsigned(number: i64, column: &'static str) -> Result<u64, &'static str> {
    u64::try_from(number).map_err(|_| column)
}

fn attempt(number: i64) -> Result<u32, &'static str> {
    u32::try_from(number).map_err(|_| "attempt")
}

fn previous(previous: i64, fence: Option<i64>) -> Result<Previous, &'static str> {
    match (previous, fence) {
        (1, None) => Ok(Previous::First),
        (2, None) => Ok(Previous::AfterFailure),
        (3, Some(of)) => Ok(Previous::AfterCrash { fence: unsigned(of, "previous_fence")? }),
        _ => Err("previous"),
    }
}

/// A grant, or the name of the column whose value isn't valid.
#[cfg(feature = "postgres")]
pub(super) fn grant(fence: i64, before: (i64, Option<i64>), attempts: i64) -> Result<Grant, &'static str> {
    Ok(Grant { fence: unsigned(fence, "fence")?, attempt: attempt(attempts)?, previous: previous(before.0, before.1)? })
}
