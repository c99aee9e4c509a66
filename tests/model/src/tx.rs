//! A call in tx mode among those in lease mode: what it claims is seen by nobody before its transaction is committed, and
//! nobody else gets at the row meanwhile.

use idem_runtime::protocol::{Micros, State as RowState};
use idem_runtime::store::{Grant, Previous};

use crate::model::Protocol;
use crate::pending::Claim;
use crate::setup::{Fault, LINGER, micros};
use crate::state::{Drawn, State};
use crate::store::sees_new_grant;
use crate::truth::Last;

/// How a transaction ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TxEnd {
    /// Its result is recorded.
    Records,
    /// Its body failed, and the claim is taken back; the rest is committed.
    Withdraws,
    /// Its body did nothing, and the rest is committed: an orphan stays one, and any other claim is taken back.
    Skips,
    /// Its call was dropped, and the transaction is committed all the same.
    StaysPending,
    RollsBack,
}

impl TxEnd {
    pub(crate) const ALL: [Self; 5] =
        [Self::Records, Self::Withdraws, Self::Skips, Self::StaysPending, Self::RollsBack];
}

impl Protocol {
    fn stays(&self) -> Micros {
        micros(self.setup.ttl) + micros(LINGER)
    }

    /// The claim of the next transaction, or of the one that is open.
    fn tx_claim(&self, state: &State) -> Claim {
        let open = state.pending.map(|row| Drawn::of(row.owner));
        let owner = open.unwrap_or(Drawn::transaction(state.budget.of(Fault::Tx))).owner();
        Claim { owner, fingerprint: None, stays: self.stays(), now: state.now }
    }

    pub(crate) fn can_begin(&self, state: &State) -> bool {
        state.pending.is_none() && self.tx_claim(state).take(state.row.as_ref()).is_some()
    }

    /// A transaction claims the key, and its body runs.
    pub(crate) fn begins(&self, state: &mut State) -> Option<()> {
        let row = self.tx_claim(state).take(state.row.as_ref())?;
        let owner = Drawn::of(row.owner);
        let grant = Grant { fence: row.fence, attempt: row.attempt, previous: row.previous };
        self.sees_start(state, owner, row.fence);
        // The claim is seen once it is committed.
        let mut truth = state.truth.clone();
        sees_new_grant(&mut truth, state.row.as_ref(), owner, grant, state.now);
        state.truth.broken = truth.broken;
        state.pending = Some(row);
        Some(())
    }

    pub(crate) fn ends_tx(&self, state: &mut State, end: TxEnd) -> Option<()> {
        let claim = self.tx_claim(state);
        let pending = state.pending.take()?;
        let (stays, fence) = (self.stays(), pending.fence);
        let row = match end {
            TxEnd::RollsBack => return Some(()),
            TxEnd::Records => Some(claim.complete(pending, fence, micros(self.setup.ttl), (stays, stays), state.now)),
            TxEnd::Skips if matches!(pending.previous, Previous::AfterCrash { .. }) => {
                Some(claim.restore(pending, fence))
            }
            TxEnd::Withdraws | TxEnd::Skips => claim.withdraw(pending, fence),
            TxEnd::StaysPending => Some(pending),
        };
        state.row = row;
        let State { truth, now, .. } = state;
        let Some(row) = row else {
            truth.holders = 0;
            return Some(());
        };
        let owner = Drawn::of(row.owner);
        truth.holders = if truth.record.is_some() { 1 } else { truth.holders + 1 };
        if row.state == RowState::Unknown {
            truth.holders -= 1;
        }
        truth.highest = truth.highest.max(row.fence);
        truth.last = Some(Last { owner, fence: row.fence, previous: row.previous });
        (truth.record, truth.lease) = (None, None);
        if row.state == RowState::Done {
            truth.record = Some((owner, *now + micros(self.setup.ttl)));
            truth.failed = None;
            truth.settle_before(row.fence);
        }
        Some(())
    }
}
