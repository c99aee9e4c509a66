//! The way to a violation, as a person reads it: who does what, when, and what the row became.

use std::fmt::{self, Write};

use idem_runtime::protocol::{Micros, Reply, Row};
use idem_runtime::store::{Owner, Previous};

use crate::model::{Action, Protocol, Word};
use crate::setup::{Fault, START, STEP_BACK};
use crate::state::{Ask, Call, Drawn, How, Request, Stage, State};
use crate::tx::TxEnd;

impl Protocol {
    /// Tells what happens on a path of states, each with the action that leaves it.
    pub(crate) fn tell(&self, path: &[(State, Option<Action>)]) -> String {
        let mut story = String::new();
        let steps = path.windows(2).filter_map(|pair| Some((&pair[0].0, pair[0].1?, &pair[1].0)));
        for ((before, action, after), number) in steps.zip(1..) {
            let mut what = self.sentence(before, action);
            if let Action::Hear(number) = action {
                what.push_str(follows(after, number));
            }
            // To a string, writing never fails.
            let _ = writeln!(story, "{number:>3}. {:>6}  {what}", Time(before.now).to_string());
            if before.row != after.row {
                let _ = writeln!(story, "             the row: {}", TheRow(after.row.as_ref()));
            }
        }
        story
    }

    fn sentence(&self, before: &State, action: Action) -> String {
        let call = |number| before.call_of(number);
        match action {
            Action::Claim(number) => format!("{} sends its claim.", call(number)),
            Action::Retry(number) => format!("{} has no answer, and sends its request again.", call(number)),
            Action::Repeat(request) => format!("The background of {} sends {} again.", request.from, request.ask),
            Action::CompleteLate(request) => {
                format!("The background of {}, whose caller has gone, sends {}.", request.from, request.ask)
            }
            Action::CarryOut(request) => self.carried_out(before, request),
            Action::Hear(number) => format!("{} hears: {}.", call(number), Said(before.answer(number))),
            Action::HearAndWait(number) => {
                format!("{} hears: {}. It waits.", call(number), Said(before.answer(number)))
            }
            Action::Renew(number) => format!("{} sends a renewal.", call(number)),
            Action::HearOfRenewal(number) => {
                let reply = before.workers[usize::from(number)].beat;
                format!("{} hears of its renewal: {}.", call(number), Said(reply))
            }
            Action::BodyReturns(number) => {
                format!("The body of {} has run, and its completion is sent.", call(number))
            }
            Action::BodyFails(number) => format!("The body of {} fails, and its release is sent.", call(number)),
            Action::BodyKeeps(number) => {
                format!("The body of {} fails with an error that keeps the key.", call(number))
            }
            Action::BodySkips(number) => format!("The body of {} says that it did nothing.", call(number)),
            Action::ReconcileFinds(number) => {
                format!("The reconcile function of {} finds the outcome; a completion is sent.", call(number))
            }
            Action::ReconcileFindsNothing(number) => {
                format!("The reconcile function of {} says that nothing was done.", call(number))
            }
            Action::ReconcileFails(number) => format!("The reconcile function of {} fails.", call(number)),
            Action::GiveUp(number) => {
                format!("{} waits no longer for the answer; the background goes on.", call(number))
            }
            Action::Cancel(number) => format!("{} is dropped, or panics.", call(number)),
            Action::Crash(number) => format!("The process of {} dies.", call(number)),
            Action::Until(fault) => passing(before, fault),
            Action::StepBack => format!("The store's clock steps back by {:?}.", STEP_BACK),
            Action::Sweep => "A sweep deletes the row.".to_owned(),
            Action::Says(Word::Executed) => "An operator says: it was executed.".to_owned(),
            Action::Says(Word::NotExecuted) => "An operator says: it was not executed.".to_owned(),
            Action::TxClaims => "A call in tx mode claims the key in its transaction, and its body runs.".to_owned(),
            Action::TxEnds(TxEnd::Records) => "The transaction is committed, with its result.".to_owned(),
            Action::TxEnds(TxEnd::Withdraws) => {
                "The body failed; its claim is taken back, and the transaction is committed.".to_owned()
            }
            Action::TxEnds(TxEnd::Skips) => "Its body did nothing, and the transaction is committed.".to_owned(),
            Action::TxEnds(TxEnd::StaysPending) => {
                "The call was dropped, and its transaction is committed all the same.".to_owned()
            }
            Action::TxEnds(TxEnd::RollsBack) => "The transaction is rolled back.".to_owned(),
            Action::Says(Word::Forget) => "An operator says: forget it.".to_owned(),
        }
    }

    fn carried_out(&self, before: &State, request: Request) -> String {
        let reply = self.step(before.row.as_ref(), request.owner, request.ask, before.now).reply;
        let heard = if request.awaited { "" } else { " Nobody waits for the answer." };
        format!("The store carries out {} of {}: {}.{heard}", request.ask, request.from, Said(Some(reply)))
    }
}

impl State {
    fn answer(&self, number: u8) -> Option<Reply> {
        self.workers[usize::from(number)].answer
    }
}

/// What a call does that has heard an answer.
fn follows(after: &State, number: u8) -> &'static str {
    match after.workers[usize::from(number)].stage {
        Stage::Claiming => " It claims again.",
        Stage::Reconciling => " Its reconcile function starts.",
        Stage::Running => " Its body starts.",
        _ => " The call is over.",
    }
}

fn passing(before: &State, fault: Fault) -> String {
    let at = before.deadlines().find(|(of, _)| *of == fault).map_or(before.now, |(_, at)| at);
    let what = match fault {
        Fault::Lease => "the lease is over",
        Fault::Ttl => "the ttl is over",
        Fault::Purge => "the row may be swept",
        _ => "the oldest request is lost",
    };
    format!("Time passes: at {} {what}.", Time(at))
}

/// A time, or a fence, from the beginning of the run on.
struct Time(Micros);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, micros) = match self.0.checked_sub(START) {
            Some(micros) => ("", micros),
            None => ("-", START - self.0),
        };
        match micros % 1_000_000 {
            0 => write!(f, "{sign}{} s", micros / 1_000_000),
            rest => write!(f, "{sign}{}.{rest:06} s", micros / 1_000_000),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}'s call {}", self.worker + 1, self.nth + 1)
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claim => "a claim",
            Self::Renew { .. } => "a renewal",
            Self::End { how: How::Complete, .. } => "a completion",
            Self::End { how: How::Failed, .. } => "a release `Failed`",
            Self::End { how: How::OutcomeUnknown, .. } => "a release `OutcomeUnknown`",
            Self::End { how: How::Keep, .. } => "a release `Keep`",
            Self::End { how: How::NotRun, .. } => "a release `NotRun`",
        })
    }
}

struct Said(Option<Reply>);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Reply::Acquired(grant)) => {
                write!(
                    f,
                    "acquired, fence {}, attempt {}, {}",
                    fence(grant.fence),
                    grant.attempt,
                    Before(grant.previous)
                )
            }
            Some(reply) => write!(f, "{reply:?}"),
            None => f.write_str("nothing"),
        }
    }
}

struct Before(Previous);

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Previous::First => f.write_str("first"),
            Previous::AfterFailure => f.write_str("after a failure"),
            Previous::AfterCrash { fence: of } => write!(f, "after the crash of fence {}", fence(of)),
        }
    }
}

/// A fence is a time of the store's clock, but for zero: none was granted.
fn fence(fence: u64) -> String {
    if fence < START / 2 { "none".to_owned() } else { Time(fence).to_string() }
}

fn name(owner: Owner) -> String {
    match Drawn::of(owner).call() {
        Some(call) => format!("{}.{}", call.worker + 1, call.nth + 1),
        None => "nobody".to_owned(),
    }
}

struct TheRow<'a>(Option<&'a Row>);

impl fmt::Display for TheRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(row) = self.0 else { return f.write_str("absent") };
        let state = format!("{:?}", row.state).to_lowercase();
        write!(f, "{state}, owner {}, fence {}, until {}", name(row.owner), fence(row.fence), Time(row.until))?;
        write!(f, ", attempt {}, {}", row.attempt, Before(row.previous))?;
        if let Some(doubt) = row.doubt {
            write!(f, ", doubt {}", fence(doubt))?;
        }
        if !row.ended.is_empty() {
            write!(f, ", ended {}", row.ended.iter().map(name).collect::<Vec<_>>().join(" "))?;
        }
        match row.purge_at {
            Some(at) => write!(f, ", purge at {}", Time(at)),
            None => f.write_str(", never purged"),
        }
    }
}
