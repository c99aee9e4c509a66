//! Waiting until a key's holder has left it. A wait may return too early, and not too late.

use std::time::{Duration, Instant};

use super::{Case, cases};
use crate::conformance::bench::{Bench, Caller, record};
use crate::conformance::run::{self, Job};
use crate::conformance::verdict::{Verdict, answer, ensure};
use crate::protocol::{ClaimAnswer, Leave, Standing, WaitRequest};
use crate::store::IdempotencyStore as _;
use crate::task::timer;

pub(super) const CASES: &[Case] = cases! {
    "R3: a wait returns by its deadline" => wait_returns_by_its_deadline,
    "R3: a completion ends a wait" => waiter_hears_of_a_completion,
    "R3: a failure ends a wait, and the waiter runs" => waiter_hears_of_a_failure,
    "R3: a body that did nothing ends a wait, and the waiter runs" => waiter_hears_of_a_body_that_did_nothing,
    "R3: a key that becomes an orphan ends a wait at once" => waiter_hears_of_a_panic,
    "R3: a completion ends every wait" => all_waiters_hear_of_a_completion,
    "a lost wake-up: the holder leaves between the claim and the wait" => wait_for_what_has_happened_returns,
    "a lost wake-up: the holder leaves while the wait begins" => wait_that_meets_a_completion_returns,
    "a wait for a key that nobody holds" => wait_for_an_absent_key_returns,
};

/// Longer than the slowest poll, far shorter than [`FAR`].
const SOON: Duration = Duration::from_secs(5);
const FAR: Duration = Duration::from_secs(15);

async fn waits(caller: &Caller, step: &str, at_most: Duration, round: u32) -> Verdict<Duration> {
    let mut request = WaitRequest::new(&caller.scope, &caller.key, at_most);
    request.round = round;
    let started = Instant::now();
    answer(step, caller.store.wait(request).await)?;
    Ok(started.elapsed())
}

/// The answer to a waiter, and how long it waited.
type Told = (ClaimAnswer, Duration);

/// Waits and claims, as a handler with `wait` does, until the answer is not that the key is running.
async fn told_in_the_end(caller: Caller) -> Verdict<Told> {
    let started = Instant::now();
    for round in 0.. {
        match caller.claim("a waiter's claim").await? {
            ClaimAnswer::InProgress { .. } if started.elapsed() < FAR => {}
            told => return Ok((told, started.elapsed())),
        }
        waits(&caller, "a wait", FAR, round).await?;
    }
    Ok((ClaimAnswer::Ended, started.elapsed()))
}

async fn wait_returns_by_its_deadline(bench: Bench) -> Verdict {
    bench.caller().granted("the first claim").await?;
    for (at_most, round) in [(bench.short, 0), (bench.short, 20), (Duration::ZERO, 0)] {
        let step = format!("a wait of at most {at_most:?} for a running key");
        let waited = waits(&bench.caller(), &step, at_most, round).await?;
        ensure(waited < at_most + SOON, step, "an answer by then", waited)?;
    }
    Ok(())
}

/// Lets the holder leave while others wait, and returns the answer to each.
async fn heard<F>(
    bench: &Bench,
    waiters: Vec<Caller>,
    leave: impl FnOnce(Caller, u64) -> F,
) -> Verdict<Vec<ClaimAnswer>>
where
    F: Future<Output = Verdict> + Send,
{
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    let (short, left) = (bench.short, leave(holder, grant.fence));
    let mut jobs: Vec<Job<'_, Verdict<Option<Told>>>> = vec![Box::pin(async move {
        timer::sleep(short).await;
        left.await.map(|()| None)
    })];
    for waiter in waiters {
        jobs.push(Box::pin(async move { told_in_the_end(waiter).await.map(Some) }));
    }
    let told = run::all(jobs).await.into_iter().collect::<Verdict<Vec<_>>>()?;
    let mut answers = Vec::new();
    for (answer, waited) in told.into_iter().flatten() {
        let step = format!("a wait of at most {FAR:?} for a key that was left after {short:?}");
        ensure(waited < short + SOON, step, "an answer soon after", waited)?;
        answers.push(answer);
    }
    Ok(answers)
}

async fn completes(holder: Caller, fence: u64) -> Verdict {
    holder.completes("the holder's completion", fence, &record("result"), Standing::Held).await
}

async fn waiter_hears_of_a_completion(bench: Bench) -> Verdict {
    let told = heard(&bench, vec![bench.caller()], completes).await?;
    ensure(told == [ClaimAnswer::Completed(record("result"))], "what a waiter is told", "the result", told)
}

async fn waiter_hears_of_a_failure(bench: Bench) -> Verdict {
    waiter_is_granted(bench, Leave::Failed).await
}

async fn waiter_hears_of_a_body_that_did_nothing(bench: Bench) -> Verdict {
    waiter_is_granted(bench, Leave::NotRun).await
}

async fn waiter_is_granted(bench: Bench, how: Leave) -> Verdict {
    let told = heard(&bench, vec![bench.caller()], async |holder: Caller, fence| {
        holder.leaves(format!("the holder leaves: {how:?}"), fence, how, Standing::Held).await
    });
    let told = told.await?;
    ensure(matches!(told[..], [ClaimAnswer::Acquired(_)]), "what a waiter is told", "Acquired", told)
}

async fn waiter_hears_of_a_panic(bench: Bench) -> Verdict {
    let told = heard(&bench, vec![bench.caller().parking()], async |holder: Caller, fence| {
        holder.leaves("the holder panics", fence, Leave::OutcomeUnknown, Standing::Held).await
    });
    let told = told.await?;
    ensure(told == [ClaimAnswer::Orphaned], "what a waiter under park is told", "Orphaned", told)
}

async fn all_waiters_hear_of_a_completion(bench: Bench) -> Verdict {
    let waiters = (0..16).map(|_| bench.caller()).collect();
    let told = heard(&bench, waiters, completes).await?;
    let all = told.iter().all(|answer| *answer == ClaimAnswer::Completed(record("result")));
    ensure(all, "what 16 waiters are told", "the result", told)
}

async fn wait_for_what_has_happened_returns(bench: Bench) -> Verdict {
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    let waiter = bench.caller();
    waiter.held_off("a waiter's claim").await?;
    holder.completes("the holder completes before the waiter waits", grant.fence, &record("x"), Standing::Held).await?;
    let waited = waits(&waiter, "the wait after it", FAR, 0).await?;
    ensure(waited < SOON, "a wait for a key that has been completed already", "an answer soon", waited)
}

async fn wait_for_an_absent_key_returns(bench: Bench) -> Verdict {
    let waited = waits(&bench.caller(), "the wait", FAR, 0).await?;
    ensure(waited < SOON, "a wait for a key that nobody has claimed", "an answer soon", waited)
}

async fn wait_that_meets_a_completion_returns(bench: Bench) -> Verdict {
    for round in 0..30 {
        let key = format!("key {round}");
        let holder = bench.caller_of(&key);
        let grant = holder.granted("the first claim").await?;
        let waiter = bench.caller_of(&key);
        let ending: Job<'static, Verdict<Duration>> = Box::pin(async move {
            // Each round a little later.
            timer::sleep(Duration::from_micros(200) * round).await;
            holder.completes("the completion", grant.fence, &record("x"), Standing::Held).await?;
            Ok(Duration::ZERO)
        });
        let waiting: Job<'static, Verdict<Duration>> = Box::pin(async move { Ok(told_in_the_end(waiter).await?.1) });
        for waited in run::race(vec![ending, waiting]).await? {
            let waited = waited?;
            ensure(waited < SOON, "a wait that begins as the key is completed", "an answer soon", waited)?;
        }
    }
    Ok(())
}
