//! A clock that is set back, or ahead. Skipped if the suite isn't told how to move it.

use std::time::Duration;

use super::{Case, cases};
use crate::conformance::bench::{Bench, Caller, record};
use crate::conformance::verdict::{Verdict, answer, ensure, equal};
use crate::protocol::{ClaimAnswer, CompleteRequest, Grant, Leave, Orphans, Previous, ReleaseRequest, Standing};
use crate::store::IdempotencyStore as _;
use crate::store::admin::Resolution;

pub(super) const CASES: &[Case] = cases! {
    "R8: fences grow after the clock is set back, whatever happens to the row" => fence_grows_over_a_clock_set_back,
    "R9: NotRun keeps the row for as long as a copy of its claim can arrive, however old the row is"
        => not_run_keeps_an_old_row,
};

/// How far the clock is set back.
const BACK: Duration = Duration::from_secs(60 * 60);

/// How much time passes after that: more than the lease, the ttl and the linger of each request here, and less than
/// [`BACK`].
const LATER: Duration = Duration::from_secs(180);

const ENDINGS: [&str; 8] = [
    "completed",
    "failed",
    "not run",
    "silent",
    "forgotten",
    "resolved as executed",
    "resolved as not executed",
    "taken over",
];

async fn fence_grows_over_a_clock_set_back(bench: Bench) -> Verdict {
    // The clock is moved back even if the case fails, because other cases may follow on this store.
    let verdict = fences_grow(&bench).await;
    bench.clock.set_ahead(Duration::ZERO).await?;
    verdict
}

async fn fences_grow(bench: &Bench) -> Verdict {
    bench.clock.set_ahead(BACK).await?;
    // A key that is held throughout shows how high the fences were, also where rows are moved in place of the clock.
    let witness = bench.caller_of("witness").lease(2 * BACK).parking();
    witness.granted("a claim while the clock is ahead").await?;
    let mut holders = Vec::new();
    for ending in ENDINGS {
        let mut holder = bench.caller_of(ending).lease(bench.short);
        holder.retain = Some(Duration::ZERO);
        holder.granted(format!("a claim of what will be {ending}")).await?;
        holders.push((ending, holder));
    }
    bench.clock.set_ahead(Duration::ZERO).await?;
    for (ending, holder) in &holders {
        let grant = holder.granted("a repeat of the claim, after the clock was set back").await?;
        ends(bench, holder, grant, ending).await?;
    }
    bench.clock.set_ahead(LATER).await?;
    if let Ok(admin) = bench.admin() {
        answer("sweep", admin.sweep(10_000).await)?;
    }
    let least = witness.granted("a repeat of the claim that shows the fences").await?.fence;
    for ending in ENDINGS {
        let step = format!("a claim of what was {ending}, once its row may have been purged");
        let next = bench.caller_of(ending).granted(&step).await?;
        ensure(next.fence > least, step, format!("a fence above {least}"), next)?;
    }
    Ok(())
}

/// One ending, with as little time to stay as it can have.
async fn ends(bench: &Bench, holder: &Caller, grant: Grant, ending: &str) -> Verdict {
    let (claim, result) = (holder.request(), record("x"));
    let leave = async |how| {
        let mut request = ReleaseRequest::new(&claim, grant.fence, how);
        request.retain = Duration::ZERO;
        equal(ending, answer(ending, holder.store.release(request).await)?, Standing::Held)
    };
    match ending {
        "completed" => {
            let request = CompleteRequest::new(&claim, grant.fence, &result, bench.short);
            equal(ending, answer(ending, holder.store.complete(request).await)?, Standing::Held)
        }
        "failed" => leave(Leave::Failed).await,
        "not run" => leave(Leave::NotRun).await,
        "silent" => holder.renews(ending, grant.fence, Standing::Held).await,
        "taken over" => {
            leave(Leave::OutcomeUnknown).await?;
            let mut taker = bench.caller_of(ending).lease(bench.short);
            (taker.orphans, taker.retain) = (Orphans::Take, Some(Duration::ZERO));
            taker.granted(ending).await.map(drop)
        }
        _ => {
            let Ok(admin) = bench.admin() else { return Ok(()) };
            if ending == "forgotten" {
                return equal(ending, answer(ending, admin.forget(&holder.scope, &holder.key).await)?, Standing::Held);
            }
            leave(Leave::OutcomeUnknown).await?;
            let resolution = match ending {
                "resolved as executed" => Resolution::Executed { record: result, ttl: bench.short },
                _ => Resolution::NotExecuted,
            };
            let resolved = admin.resolve(&holder.scope, &holder.key, resolution).await;
            equal(ending, answer(ending, resolved)?, Standing::Held)
        }
    }
}

async fn not_run_keeps_an_old_row(bench: Bench) -> Verdict {
    let verdict = gives_up_late(&bench).await;
    bench.clock.set_ahead(Duration::ZERO).await?;
    verdict
}

/// Each row may be purged 60 s after its last request. 45 s after it, one call gives up and another repeats that it gave
/// up. Copies of their claims arrive 45 s later.
async fn gives_up_late(bench: &Bench) -> Verdict {
    const PAUSE: Duration = Duration::from_secs(45);
    bench.clock.set_ahead(Duration::ZERO).await?;
    let (_, lost) = bench.orphan().await?;
    let mut taker = bench.caller().lease(bench.short);
    taker.retain = Some(Duration::ZERO);
    taker.granted_as("the takeover", 2, Previous::AfterCrash { fence: lost.fence }).await?;
    let early = bench.caller_of("early").lease(bench.short);
    early.granted_first("a claim of another key").await?;
    early.gives_up("its call gives up at once").await?;

    bench.clock.set_ahead(PAUSE).await?;
    taker.gives_up("the taker gives up, 45 s after its claim").await?;
    early.gives_up("a repeat, 45 s later").await?;

    bench.clock.set_ahead(2 * PAUSE).await?;
    if let Ok(admin) = bench.admin() {
        answer("sweep", admin.sweep(10_000).await)?;
    }
    taker.told("a copy of the taker's claim, 45 s after it gave up", ClaimAnswer::Ended).await?;
    early.told("a copy of the other claim, 45 s after the repeat", ClaimAnswer::Ended).await
}
