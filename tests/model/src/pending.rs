//! The pending row of tx mode. It is SQL and not `step`: these functions say what the statements of
//! `idem-runtime/src/tx/sql` do. `pending.txt` is their table of rows; a test here holds these functions against it, and a test
//! beside the statements holds SQLite's.

use idem_runtime::protocol::{Ended, Micros, Row, State};
use idem_runtime::store::{Fingerprint, Owner, Previous};

/// Whose claim, and when by the clock of the database.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub owner: Owner,
    pub fingerprint: Option<Fingerprint>,
    /// How long the row stays at most.
    pub stays: Micros,
    pub now: Micros,
}

/// Whether a row can be had: it is free, or completed and over, or an orphan that is forgotten in the end.
fn is_takeable(row: &Row, claim: &Claim) -> bool {
    let is_over = row.until <= claim.now;
    match row.state {
        State::Free => true,
        State::Done => is_over,
        State::Unknown | State::Running | State::Kept => {
            let is_orphan = row.state == State::Unknown || is_over;
            let differs = matches!((row.fingerprint, claim.fingerprint), (Some(a), Some(b)) if a != b);
            row.purge_at.is_some() && is_orphan && !differs
        }
    }
}

impl Claim {
    /// The pending row that the claim makes; `None`: the key can't be had.
    pub fn take(&self, row: Option<&Row>) -> Option<Row> {
        let Claim { owner, fingerprint, stays, now } = *self;
        let new = Row {
            state: State::Free,
            owner,
            fence: now,
            until: now,
            doubt: None,
            previous: Previous::First,
            attempt: 1,
            fingerprint,
            ended: Ended::default(),
            purge_at: Some(now + stays),
        };
        let Some(row) = row else { return Some(new) };
        if !is_takeable(row, self) {
            return None;
        }
        let fence = now.max(row.fence + 1);
        let previous = match row.state {
            State::Free => row.previous,
            State::Done => Previous::First,
            State::Unknown => Previous::AfterCrash { fence: row.doubt.unwrap_or(row.fence) },
            State::Running | State::Kept => Previous::AfterCrash { fence: row.fence },
        };
        Some(Row {
            fence,
            until: row.until,
            previous,
            attempt: if row.state == State::Done { 1 } else { row.attempt + 1 },
            ended: Ended::from_owners(std::iter::once(row.owner).chain(row.ended.iter())),
            purge_at: Some(fence + stays),
            ..new
        })
    }

    fn holds(&self, row: &Row, fence: u64) -> bool {
        row.state == State::Free && row.owner == self.owner && row.fence == fence
    }

    /// The completed row that the claim's pending one becomes; it stays for at least and at most so long. Another's row is as
    /// it was.
    pub fn complete(&self, row: Row, fence: u64, ttl: Micros, (least, most): (Micros, Micros), now: Micros) -> Row {
        if !self.holds(&row, fence) {
            return row;
        }
        let from = now.max(row.fence);
        let purge_at = row.purge_at.filter(|at| *at >= from + least).unwrap_or(from + most);
        Row { state: State::Done, until: now + ttl, purge_at: Some(purge_at), ..row }
    }

    /// What a claim that took an orphan over leaves where its body did nothing: the orphan. Another's row is as it was.
    pub fn restore(&self, row: Row, fence: u64) -> Row {
        match row.previous {
            Previous::AfterCrash { fence: died } if self.holds(&row, fence) => {
                let attempt = row.attempt.saturating_sub(1);
                Row { state: State::Unknown, doubt: Some(died), attempt, ..row }
            }
            _ => row,
        }
    }

    /// What a claim leaves that is taken back. A row that was there before stays, and counts as absent too: what it knows of
    /// those who left is what refuses a late copy of a claim of theirs.
    pub fn withdraw(&self, row: Row, fence: u64) -> Option<Row> {
        (!self.holds(&row, fence) || !row.ended.is_empty()).then_some(row)
    }
}
