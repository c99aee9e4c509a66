//! The rows that the store may have at a step of a sequence.
//!
//! The store read its clock at some time between the sending of a request and its answer. So near the end of a lease or
//! a ttl, two answers are right, and each leads to another row: a [`World`].

use std::fmt::Write as _;
use std::time::Duration;

use crate::conformance::verdict::stands_for;
use crate::protocol::{self, ClaimAnswer, Grant, Micros, Operation, Record, Reply, Row, Standing, State};

/// The earliest and the latest time at which the store can have handled a request, or a lease or ttl can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Micros,
    pub(super) to: Micros,
}

/// One row that the store may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct World {
    /// Its fence is the store's. Its lease or ttl ends at [`END`], in place of the real `until`.
    row: Option<Row>,
    until: Span,
    record: Option<Record>,
}

/// The store's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Claim(ClaimAnswer),
    Standing(Standing),
}

/// All rows that the store may have now.
#[derive(Debug)]
pub(super) struct Worlds {
    worlds: Vec<World>,
    /// The highest fence that was granted.
    pub(super) highest: u64,
    /// How much rounding of the clock is allowed.
    slack: Micros,
}

/// The state machine is called with a clock of its own, on which each lease or ttl ends at this time.
const END: Micros = 1 << 40;

impl Worlds {
    /// Nobody has claimed the key.
    pub(super) fn new(slack: Micros) -> Self {
        let absent = World { row: None, until: Span { from: 0, to: 0 }, record: None };
        Self { worlds: vec![absent], highest: 0, slack }
    }

    /// Keeps the rows that agree with the answer to `operation`, which the store carried out within `at`. `record` is
    /// the record of a completion.
    ///
    /// # Errors
    ///
    /// The right answers, if no row agrees.
    pub(super) fn follow(
        &mut self,
        operation: Operation<'_>,
        record: &Record,
        at: Span,
        answer: &Answer,
    ) -> Result<(), String> {
        let mut expected: Vec<String> = Vec::new();
        let mut followed = Vec::new();
        for world in &self.worlds {
            for over in [false, true] {
                if world.can_be(over, at, self.slack) {
                    match self.step(world, over, operation, record, at, answer) {
                        Ok(next) if followed.contains(&next) => {}
                        Ok(next) => followed.push(next),
                        Err(right) if expected.contains(&right) => {}
                        Err(right) => expected.push(right),
                    }
                }
            }
        }
        if followed.is_empty() {
            return Err(expected.join(", or "));
        }
        if let Answer::Claim(ClaimAnswer::Acquired(grant)) = answer {
            self.highest = self.highest.max(grant.fence);
        }
        self.worlds = followed;
        Ok(())
    }

    fn step(
        &self,
        world: &World,
        over: bool,
        operation: Operation<'_>,
        record: &Record,
        at: Span,
        answer: &Answer,
    ) -> Result<World, String> {
        let row = world.row;
        let now = if over { END } else { END - 1 };
        let next = protocol::step(row.as_ref(), operation, now);
        self.agrees(world, next.reply, at, answer)?;
        let Some(mut written) = next.row else { return Ok(world.clone()) };
        let mut after = world.clone();
        if written.until != END {
            let length = written.until - now;
            after.until = Span { from: at.from + length, to: at.to + length };
        }
        if let (Reply::Acquired(_), Answer::Claim(ClaimAnswer::Acquired(grant))) = (next.reply, answer) {
            written.fence = grant.fence;
        }
        after.record = match (written.state, operation) {
            (State::Done, Operation::Complete(_) | Operation::ResolveExecuted { .. }) => Some(record.clone()),
            (State::Done, _) => after.record,
            _ => None,
        };
        after.row = Some(Row { until: END, purge_at: None, ..written });
        Ok(after)
    }

    /// Compares the store's answer with the state machine's. `Err`: what it should have been.
    fn agrees(&self, world: &World, reply: Reply, at: Span, answer: &Answer) -> Result<(), String> {
        let (agrees, expected) = match reply {
            Reply::Acquired(grant) => self.agrees_to_grant(world, grant, answer),
            Reply::InProgress { .. } => {
                let least = world.until.from.saturating_sub(at.to + self.slack).max(1);
                let most = (world.until.to + self.slack).saturating_sub(at.from).max(1);
                let (least, most) = (Duration::from_micros(least), Duration::from_micros(most));
                let agrees = matches!(answer, Answer::Claim(ClaimAnswer::InProgress { remaining })
                    if *remaining >= least && *remaining <= most);
                (agrees, format!("InProgress with {least:.2?} to {most:.2?} remaining"))
            }
            Reply::Completed => {
                let kept = world.record.clone().unwrap_or_else(|| Record::from_bytes(&[]));
                let shown = format!("Completed with {}", kept.as_bytes().escape_ascii());
                (*answer == Answer::Claim(ClaimAnswer::Completed(kept)), shown)
            }
            Reply::Orphaned => (*answer == Answer::Claim(ClaimAnswer::Orphaned), "Orphaned".to_owned()),
            Reply::KeyReused => (*answer == Answer::Claim(ClaimAnswer::KeyReused), "KeyReused".to_owned()),
            Reply::Ended => (*answer == Answer::Claim(ClaimAnswer::Ended), "Ended".to_owned()),
            Reply::Held | Reply::Lost | Reply::Gone => {
                let standing = reply.into_standing();
                let agrees = matches!(answer, Answer::Standing(found) if stands_for(*found, standing));
                (agrees, format!("{standing:?}"))
            }
        };
        if agrees { Ok(()) } else { Err(expected) }
    }

    /// The store chooses its fences. They only have to grow, and a repeated claim has to get the same one.
    fn agrees_to_grant(&self, world: &World, grant: Grant, answer: &Answer) -> (bool, String) {
        let repeated = world.row.is_some_and(|row| row.fence == grant.fence);
        let mut expected = format!("Acquired with attempt {}, {:?}", grant.attempt, grant.previous);
        let (fence, highest) = (grant.fence, self.highest);
        let _ =
            if repeated { write!(expected, ", fence {fence}") } else { write!(expected, ", a fence above {highest}") };
        let agrees = match answer {
            Answer::Claim(ClaimAnswer::Acquired(found)) => {
                let fence = if repeated { found.fence == grant.fence } else { found.fence > self.highest };
                fence && (found.attempt, found.previous) == (grant.attempt, grant.previous)
            }
            _ => false,
        };
        (agrees, expected)
    }
}

impl World {
    /// Whether, at some time within `at`, the lease or the ttl can have been over (or not over, as `over` says).
    fn can_be(&self, over: bool, at: Span, slack: Micros) -> bool {
        if over { at.to + slack >= self.until.from } else { at.from < self.until.to + slack }
    }
}
