//! The answer to a claim in tx mode.

use std::time::Duration;

use super::{Column, Failure, Value};
use crate::protocol::{Fingerprint, Previous, Record};

/// The answer to a claim.
#[derive(Debug)]
pub(super) struct Found {
    /// The fence, and what is known of the last holder, if the claim got the key.
    pub(super) taken: Option<(u64, Previous)>,
    state: i64,
    /// What is left of the row's lease or ttl.
    pub(super) left: Duration,
    /// Whether a sweep may never delete the row of an orphan: in lease mode, `on_crash` is `"park"` or a function.
    is_kept_for_ever: bool,
    /// The largest packet that the server takes, in bytes. Only MySQL and MariaDB say so.
    pub(super) packet: Option<usize>,
    /// Whether the server says that no transaction is open. Only MariaDB says so.
    pub(super) has_ended: bool,
    /// Whether the session has autocommit off, and so begins a transaction with any statement. Only MySQL and MariaDB
    /// say so.
    pub(super) lacks_autocommit: bool,
    fingerprint: Option<Vec<u8>>,
    pub(super) record: Option<Record>,
}

/// The state of a key that the claim did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Completed,
    InProgress,
    Parked,
    KeyReused,
    Takeable,
}

impl Found {
    /// The columns of the answer.
    pub(super) const COLUMNS: [Column; 9] = [
        Column::integer("fence"),
        Column::integer("previous"),
        Column::integer("state"),
        Column::integer("time_left"),
        Column::integer("is_kept_for_ever"),
        Column::integer("packet"),
        Column::integer("is_open"),
        Column::bytes("fingerprint"),
        Column::bytes("record"),
    ];

    pub(super) fn read(row: Vec<Value>) -> Result<Self, Failure> {
        let Ok([fence, previous, state, left, is_kept_for_ever, packet, is_open, fingerprint, record]) =
            <[Value; 9]>::try_from(row)
        else {
            return Err(Failure::unanswered("the driver's answer doesn't have the columns that were asked for"));
        };
        let previous = integer(&previous)?;
        let taken = match integer(&fence)? {
            None => None,
            Some(fence) => {
                let fence = u64::try_from(fence).map_err(|_| Failure::unanswered("the column `fence` is negative"))?;
                // The fence of the holder that crashed is not read: only lease mode's claims need it.
                let previous = match previous {
                    Some(1) => Previous::First,
                    Some(2) => Previous::AfterFailure,
                    _ => Previous::AfterCrash { fence: 0 },
                };
                Some((fence, previous))
            }
        };
        Ok(Self {
            taken,
            state: integer(&state)?.unwrap_or_default(),
            left: Duration::from_micros(integer(&left)?.and_then(|left| left.try_into().ok()).unwrap_or_default()),
            is_kept_for_ever: integer(&is_kept_for_ever)? == Some(1),
            packet: integer(&packet)?.and_then(|packet| packet.try_into().ok()),
            has_ended: integer(&is_open)? == Some(0),
            lacks_autocommit: integer(&is_open)? == Some(-1),
            fingerprint: bytes(fingerprint)?,
            record: bytes(record)?.map(|record| Record::from_bytes(&record)),
        })
    }

    /// The same as [`protocol::step`](crate::protocol::step) answers to a claim that takes an orphan over, unless the
    /// orphan's row is kept for ever.
    pub(super) fn standing(&self, fingerprint: Option<Fingerprint>) -> Standing {
        let is_over = self.left.is_zero();
        let is_free = self.state == 4 || (self.state == 5 && is_over);
        let differs = match (&self.fingerprint, fingerprint) {
            (Some(theirs), Some(ours)) => theirs[..] != ours.0[..],
            _ => false,
        };
        match self.state {
            _ if is_free => Standing::Takeable,
            _ if differs => Standing::KeyReused,
            5 => Standing::Completed,
            1 | 3 if !is_over => Standing::InProgress,
            _ if self.is_kept_for_ever => Standing::Parked,
            _ => Standing::Takeable,
        }
    }
}

fn integer(value: &Value) -> Result<Option<i64>, Failure> {
    match value {
        Value::Integer(number) => Ok(*number),
        Value::Bytes(_) => Err(Failure::unanswered("the driver answered with bytes where a number was asked for")),
    }
}

fn bytes(value: Value) -> Result<Option<Vec<u8>>, Failure> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        Value::Integer(_) => Err(Failure::unanswered("the driver answered with a number where bytes were asked for")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ClaimAnswer, ClaimRequest, Ended, Key, Operation, Orphans, Owner, Reply, Row, State, step};

    /// Compares with the state machine, for each kind of row that this code tells apart.
    #[test]
    fn both_modes_answer_alike() {
        const NOW: u64 = 1_000_000;
        let key = Key::from_bytes(b"k").expect("a key");
        let (a, b) = (Fingerprint([1; 16]), Fingerprint([2; 16]));
        for state in [State::Running, State::Unknown, State::Kept, State::Free, State::Done] {
            for until in [NOW - 1, NOW, NOW + 7] {
                for purge_at in [None, Some(NOW + 60)] {
                    for (theirs, ours) in
                        [(None, None), (Some(a), None), (None, Some(a)), (Some(a), Some(a)), (Some(a), Some(b))]
                    {
                        let row = Row {
                            state,
                            owner: Owner([1; 16]),
                            fence: 5,
                            until,
                            doubt: None,
                            previous: Previous::First,
                            attempt: 1,
                            fingerprint: theirs,
                            ended: Ended::default(),
                            purge_at,
                        };
                        let mut request = ClaimRequest::new("s", &key, Owner([2; 16]), Duration::from_secs(1));
                        request.fingerprint = ours;
                        request.orphans = if purge_at.is_none() { Orphans::Refuse } else { Orphans::Take };
                        let reply = step(Some(&row), Operation::Claim(&request), NOW).reply;
                        let expected = match reply.into_claim(|| None) {
                            ClaimAnswer::Acquired(_) => Standing::Takeable,
                            ClaimAnswer::InProgress { .. } => Standing::InProgress,
                            ClaimAnswer::Completed(_) => Standing::Completed,
                            ClaimAnswer::Orphaned => Standing::Parked,
                            ClaimAnswer::KeyReused => Standing::KeyReused,
                            ClaimAnswer::Ended => unreachable!("a new owner"),
                        };
                        let left = i64::try_from(until).expect("small") - i64::try_from(NOW).expect("small");
                        let found = Found::read(vec![
                            Value::Integer(None),
                            Value::Integer(Some(1)),
                            Value::Integer(Some(i64::from(state as u8))),
                            Value::Integer(Some(left)),
                            Value::Integer(Some(i64::from(purge_at.is_none()))),
                            Value::Integer(None),
                            Value::Integer(None),
                            Value::Bytes(theirs.map(|fingerprint| fingerprint.0.to_vec())),
                            Value::Bytes(None),
                        ])
                        .expect("nine columns");
                        assert_eq!(expected, found.standing(ours), "{row:?} {ours:?}");
                        if let Reply::InProgress { remaining } = reply {
                            assert_eq!(remaining, found.left);
                        }
                    }
                }
            }
        }
    }
}
