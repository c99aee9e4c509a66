//! Runs a sequence on the store, step by step, and compares each answer with the state machine.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::model::{Answer, Span, Worlds};
use super::program::{Fence, HOLDER, Program, Step, Ttl, name};
use crate::conformance::bench::{Bench, Caller, LONG, agrees};
use crate::conformance::verdict::{Mismatch, Plain, Stop, Verdict};
use crate::error::StoreError;
use crate::protocol::{ClaimAnswer, CompleteRequest, Micros, Operation, Owner, Record, ReleaseRequest, RenewRequest};
use crate::store::IdempotencyStore as _;
use crate::store::admin::Resolution;
use crate::task::timer;

/// How long a sequence's leases and pauses are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    short: Duration,
    pause: Duration,
    /// Nearer than this to the end of a lease or ttl, both answers are right.
    slack: Duration,
}

impl Timing {
    /// The timing for the short lease of the suite.
    pub(super) fn of(short: Duration) -> Self {
        Self { short: short / 2, pause: short * 9 / 10, slack: short / 6 }
    }
}

/// Runs a sequence on a key of its own.
pub(super) async fn play(bench: &Bench, timing: Timing, program: &Program) -> Verdict {
    let key = Owner::random().0;
    let callers = program.callers.iter().map(|spec| {
        let lease = if spec.short_lease { timing.short } else { LONG };
        let caller = bench.caller_of(key).lease(lease);
        let caller = if spec.parks { caller.parking() } else { caller };
        (if spec.fingerprint > 0 { caller.fingerprint(spec.fingerprint) } else { caller }, None)
    });
    let mut stage = Stage {
        callers: callers.collect(),
        holder: 0,
        worlds: Worlds::new(micros(timing.slack)),
        started: Instant::now(),
        played: introduction(program),
        timing,
    };
    for (number, step) in program.steps.iter().enumerate() {
        stage.play(bench, number + 1, *step).await?;
    }
    Ok(())
}

/// Describes the callers of a sequence and how they claim.
fn introduction(program: &Program) -> String {
    let mut text = String::new();
    for (caller, spec) in program.callers.iter().enumerate() {
        let claims = |step: &Step| matches!(step, Step::Claim(who) if *who == caller);
        if program.steps.iter().any(claims) {
            let _ = writeln!(text, "  {} claims with {}", name(caller), spec);
        }
    }
    text
}

struct Stage {
    /// The callers, each with the fence that it was granted.
    callers: Vec<(Caller, Option<u64>)>,
    /// The caller that was granted the key last.
    holder: usize,
    worlds: Worlds,
    started: Instant,
    /// The steps so far, and the store's answers, as text.
    played: String,
    timing: Timing,
}

impl Stage {
    async fn play(&mut self, bench: &Bench, number: usize, mut step: Step) -> Verdict {
        match &mut step {
            Step::Renew(who, _) | Step::Complete(who, ..) | Step::Release(who, ..) if *who == HOLDER => {
                *who = self.holder;
            }
            _ => {}
        }
        let asking = match step {
            Step::Pause => {
                timer::sleep(self.timing.pause).await;
                self.note(number, step, "");
                return Ok(());
            }
            Step::Sweep => {
                // This changes nothing: no row of a sequence is old enough to be swept.
                bench.admin()?.sweep(1_000).await.map_err(|error| self.failed(number, step, "an answer", &error))?;
                self.note(number, step, "");
                return Ok(());
            }
            Step::Claim(who) | Step::Renew(who, _) | Step::Complete(who, ..) | Step::Release(who, ..) => who,
            Step::Forget | Step::ResolveExecuted(_) | Step::ResolveNotExecuted => 0,
        };
        let caller = self.callers[asking].0.clone();
        let result = Record::from_bytes(format!("result of step {number}").as_bytes());
        let length = |ttl| if matches!(ttl, Ttl::Long) { LONG } else { self.timing.short };
        let claim = caller.request();
        let (renew, complete, release);
        let operation = match step {
            Step::Renew(_, fence) => {
                renew = RenewRequest::new(&claim, self.fence(asking, fence));
                Operation::Renew(&renew)
            }
            Step::Complete(_, fence, ttl) => {
                complete = CompleteRequest::new(&claim, self.fence(asking, fence), &result, length(ttl));
                Operation::Complete(&complete)
            }
            Step::Release(_, fence, how) => {
                release = ReleaseRequest::new(&claim, self.fence(asking, fence), how);
                Operation::Release(&release)
            }
            Step::Forget => Operation::Forget,
            Step::ResolveExecuted(ttl) => Operation::ResolveExecuted { ttl: length(ttl) },
            Step::ResolveNotExecuted => Operation::ResolveNotExecuted,
            Step::Claim(_) | Step::Pause | Step::Sweep => Operation::Claim(&claim),
        };
        let from = self.now();
        let told = ask(bench, &caller, operation, &result).await?;
        let at = Span { from, to: self.now() };
        let answer = told.map_err(|error| self.failed(number, step, "an answer", &error))?;
        let followed = self.worlds.follow(operation, &result, at, &answer);
        followed.map_err(|expected| self.failed(number, step, &expected, &Plain(show(&answer))))?;
        if let Answer::Claim(ClaimAnswer::Acquired(grant)) = answer {
            self.callers[asking].1 = Some(grant.fence);
            self.holder = asking;
        }
        self.note(number, step, &show(&answer));
        Ok(())
    }

    fn now(&self) -> Micros {
        // Counted from before the beginning, so that an end minus the slack is not negative.
        micros(self.started.elapsed() + LONG)
    }

    fn note(&mut self, number: usize, step: Step, answer: &str) {
        let colon = if answer.is_empty() { "" } else { ": " };
        let _ = writeln!(self.played, "  {number}. {step}{colon}{answer}");
    }

    fn fence(&self, caller: usize, fence: Fence) -> u64 {
        let own = self.callers[caller].1.unwrap_or(self.worlds.highest.max(2));
        match fence {
            Fence::Own => own,
            Fence::Other => own - 1,
        }
    }

    fn failed(&self, number: usize, step: Step, expected: &str, answered: &dyn std::fmt::Debug) -> Stop {
        let step = format!("{}  {number}. {step}", self.played);
        Stop::Failed(Mismatch { step, expected: expected.to_owned(), answered: format!("{answered:?}") })
    }
}

/// Sends the store the same operation as the state machine.
async fn ask(
    bench: &Bench,
    caller: &Caller,
    operation: Operation<'_>,
    result: &Record,
) -> Verdict<Result<Answer, StoreError>> {
    let (store, scope, key) = (&caller.store, &caller.scope, &caller.key);
    let standing = match operation {
        Operation::Claim(request) => {
            let at_once = store.completed(request);
            let claimed = store.claim(*request).await;
            if let Ok(claimed) = &claimed {
                agrees("a claim", at_once, claimed)?;
            }
            return Ok(claimed.map(Answer::Claim));
        }
        Operation::Renew(request) => store.renew(*request).await,
        Operation::Complete(request) => store.complete(*request).await,
        Operation::Release(request) => store.release(*request).await,
        Operation::ResolveExecuted { ttl } => {
            let resolution = Resolution::Executed { record: result.clone(), ttl };
            bench.admin()?.resolve(scope, key, resolution).await
        }
        Operation::ResolveNotExecuted => bench.admin()?.resolve(scope, key, Resolution::NotExecuted).await,
        Operation::Forget => bench.admin()?.forget(scope, key).await,
    };
    Ok(standing.map(Answer::Standing))
}

fn show(answer: &Answer) -> String {
    match answer {
        Answer::Claim(ClaimAnswer::Completed(record)) => format!("Completed with {}", record.as_bytes().escape_ascii()),
        Answer::Claim(ClaimAnswer::Acquired(grant)) => {
            format!("Acquired with attempt {}, {:?}, fence {}", grant.attempt, grant.previous, grant.fence)
        }
        Answer::Claim(other) => format!("{other:?}"),
        Answer::Standing(standing) => format!("{standing:?}"),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "64 bits of microseconds are half a million years")]
fn micros(duration: Duration) -> Micros {
    duration.as_micros() as Micros
}
