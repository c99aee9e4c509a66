//! When the writer sweeps: in short turns, with other work between them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::failure::Failure;
use super::sweep::Swept;
use crate::store::Owner;
use crate::task::quietly;

/// After a turn, the next turn waits for this many times as long as the turn took, if the writer has had other work
/// since the last turn.
const SHARE: u32 = 14;

/// The same if the writer has had no other work. Other processes may need the file.
const IDLE_SHARE: u32 = 2;

/// An operator's request to sweep.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) at_most: usize,
    pub(super) answer: oneshot::Sender<Result<usize, Failure>>,
}

/// When the next turn comes, and for whom.
pub(super) struct Pace {
    /// How long the background pauses if no row is due; `None`: it never sweeps.
    interval: Option<Duration>,
    /// When the background sweeps next.
    background: Option<Instant>,
    /// Operators' sweeps, each with the number of rows that it has deleted so far.
    asked: VecDeque<(Asked, usize)>,
    /// No turn comes before this time.
    rest_until: Instant,
    /// Whether the writer has had other work since the last turn.
    busy: bool,
}

impl Pace {
    pub(super) fn new(interval: Option<Duration>, now: Instant) -> Self {
        let mut pace = Self { interval, background: None, asked: VecDeque::new(), rest_until: now, busy: false };
        pace.background = pace.after_interval(now);
        pace
    }

    /// Adds an operator's sweep.
    pub(super) fn ask(&mut self, asked: Asked) {
        self.asked.push_back((asked, 0));
    }

    /// Called when the writer has done other work.
    pub(super) fn worked(&mut self) {
        self.busy = true;
    }

    /// When the next turn comes, unless an operator asks for one before.
    pub(super) fn next(&self) -> Option<Instant> {
        let wanted = if self.asked.is_empty() { self.background? } else { self.rest_until };
        Some(wanted.max(self.rest_until))
    }

    /// How many rows the next turn deletes at most, with batches of this size.
    pub(super) fn at_most(&self, batch: usize) -> usize {
        self.asked.front().map_or(batch, |(asked, swept)| batch.min(asked.at_most - swept))
    }

    /// Called when a turn is over.
    pub(super) fn turned(&mut self, swept: Result<Swept, Failure>, begun: Instant, now: Instant) {
        let share = if std::mem::take(&mut self.busy) { SHARE } else { IDLE_SHARE };
        self.rest_until = now + now.saturating_duration_since(begun) * share;
        match self.asked.pop_front() {
            Some((asked, before)) => self.answer(asked, before, swept),
            None => {
                let more = swept.inspect_err(|error| {
                    quietly(|| tracing::warn!(%error, "the sweep of a SQLite store failed"));
                });
                let more = more.is_ok_and(|swept| swept.more);
                self.background = if more { Some(now) } else { self.after_interval(now) };
            }
        }
    }

    /// Answers an operator, unless there are more rows to delete and the operator still waits.
    fn answer(&mut self, asked: Asked, before: usize, swept: Result<Swept, Failure>) {
        let (answer, more) = match swept {
            Ok(Swept { rows, more }) => (Ok(before + rows), more),
            Err(failure) => (Err(failure), false),
        };
        match answer {
            Ok(swept) if more && swept < asked.at_most && !asked.answer.is_closed() => {
                self.asked.push_front((asked, swept));
            }
            answer => quietly(|| drop(asked.answer.send(answer))),
        }
    }

    /// The time of the next background sweep. It is random, so that processes don't sweep in step, even if they were
    /// started together.
    fn after_interval(&self, now: Instant) -> Option<Instant> {
        let [random, ..] = Owner::random().0;
        now.checked_add(self.interval?.mul_f64(0.75 + f64::from(random) / 512.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);
    const TURN: Duration = Duration::from_millis(5);

    /// Takes a turn of 5 ms. Returns how long the next one waits.
    fn pause(pace: &mut Pace, rows: usize, more: bool) -> Duration {
        let begun = pace.next().unwrap();
        let now = begun + TURN;
        pace.turned(Ok(Swept { rows, more }), begun, now);
        pace.next().unwrap() - now
    }

    #[test]
    fn a_turn_pauses_for_several_times_as_long_as_it_took() {
        let mut pace = Pace::new(Some(INTERVAL), Instant::now());
        assert_eq!(pause(&mut pace, 20, true), TURN * IDLE_SHARE);
        for _ in 0..3 {
            pace.worked();
            assert_eq!(pause(&mut pace, 20, true), TURN * SHARE);
        }
        assert_eq!(pause(&mut pace, 20, true), TURN * IDLE_SHARE, "nobody has asked for anything since");
        assert!(pause(&mut pace, 0, false) >= INTERVAL * 3 / 4);
    }

    /// An operator's sweep takes turns as the background's does, and doesn't wait for the interval.
    #[test]
    fn an_operator_pauses_as_the_background_does() {
        let mut pace = Pace::new(None, Instant::now());
        assert_eq!(pace.next(), None);
        let (answer, mut answered) = oneshot::channel();
        pace.ask(Asked { at_most: 30, answer });
        pace.worked();
        assert_eq!(pace.at_most(20), 20);
        assert_eq!(pause(&mut pace, 20, true), TURN * SHARE);
        assert!(answered.try_recv().is_err(), "there is more to do");
        assert_eq!(pace.at_most(20), 10);
        let begun = pace.next().unwrap();
        pace.turned(Ok(Swept { rows: 10, more: true }), begun, begun + TURN);
        assert_eq!(answered.try_recv().unwrap().unwrap(), 30);
        assert_eq!(pace.next(), None);
    }

    #[test]
    fn stores_that_are_opened_together_do_not_sweep_together() {
        let now = Instant::now();
        let first: std::collections::BTreeSet<_> = (0..20).map(|_| Pace::new(Some(INTERVAL), now).next()).collect();
        assert!(first.len() > 10, "{first:?}");
        let range = Some(now + INTERVAL * 3 / 4)..=Some(now + INTERVAL * 5 / 4);
        assert!(first.iter().all(|look| range.contains(look)), "{first:?}");
    }
}
