//! Keys whose holder's outcome is unknown: parked, or taken over.

use super::{Case, cases};
use crate::conformance::bench::{Bench, Caller, record};
use crate::conformance::verdict::{Verdict, ensure};
use crate::protocol::{ClaimAnswer, Grant, Leave, Previous, Standing};

pub(super) const CASES: &[Case] = cases! {
    "park: a holder that died" => dead_key_is_orphaned_under_park,
    "park: a holder that panicked, at once" => unknown_key_is_orphaned_under_park,
    "park: a kept key once its lease is over" => kept_key_is_orphaned_once_over,
    "park: a refused claim doesn't change the orphan" => refused_orphan_stays,
    "fault: an orphaned claim is a lost message" => dead_key_is_taken_over,
    "R13: a panic ends the lease at once" => unknown_key_is_taken_over_at_once,
    "on_error = keep: held until the lease ends, then as on_crash says" => kept_key_is_taken_over_once_over,
    "a takeover of a takeover names the last holder" => takeover_of_a_takeover_names_the_last_holder,
    "after a takeover fails, no outcome is unknown any more" => failed_takeover_settles_the_doubt,
    "R17: after a takeover completes, no outcome is unknown any more" => completed_takeover_settles_the_doubt,
};

/// A kept key `order-1` whose lease is over.
async fn kept_and_over(bench: &Bench) -> Verdict<(Caller, Grant)> {
    let holder = bench.caller().lease(bench.short);
    let grant = holder.granted("the first claim").await?;
    holder.leaves("the holder keeps the key", grant.fence, Leave::Keep, Standing::Held).await?;
    bench.past_the_short().await;
    Ok((holder, grant))
}

async fn dead_key_is_orphaned_under_park(bench: Bench) -> Verdict {
    bench.dead().await?;
    bench.caller().parking().told("a claim under park of a key whose lease is over", ClaimAnswer::Orphaned).await
}

async fn unknown_key_is_orphaned_under_park(bench: Bench) -> Verdict {
    bench.orphan().await?;
    bench.caller().parking().told("a claim under park right after the panic", ClaimAnswer::Orphaned).await
}

async fn kept_key_is_orphaned_once_over(bench: Bench) -> Verdict {
    kept_and_over(&bench).await?;
    bench.caller().parking().told("a claim under park of a kept key whose lease is over", ClaimAnswer::Orphaned).await
}

async fn refused_orphan_stays(bench: Bench) -> Verdict {
    let (_, lost) = bench.orphan().await?;
    for round in 1..=3 {
        bench.caller().parking().told(format!("claim {round} under park"), ClaimAnswer::Orphaned).await?;
    }
    takes_over(&bench, lost, 2).await.map(drop)
}

/// Takes the key over from the holder of this grant.
async fn takes_over(bench: &Bench, from: Grant, attempt: u32) -> Verdict<(Caller, Grant)> {
    let taker = bench.caller();
    let previous = Previous::AfterCrash { fence: from.fence };
    let grant = taker.granted_as("the takeover", attempt, previous).await?;
    ensure(grant.fence > from.fence, "the takeover", format!("a fence above {}", from.fence), grant)?;
    bench.caller().held_off("a duplicate of the taker").await?;
    Ok((taker, grant))
}

async fn dead_key_is_taken_over(bench: Bench) -> Verdict {
    let (_, lost) = bench.dead().await?;
    takes_over(&bench, lost, 2).await.map(drop)
}

async fn unknown_key_is_taken_over_at_once(bench: Bench) -> Verdict {
    let (_, lost) = bench.orphan().await?;
    takes_over(&bench, lost, 2).await.map(drop)
}

async fn kept_key_is_taken_over_once_over(bench: Bench) -> Verdict {
    let (_, lost) = kept_and_over(&bench).await?;
    takes_over(&bench, lost, 2).await.map(drop)
}

async fn takeover_of_a_takeover_names_the_last_holder(bench: Bench) -> Verdict {
    let (_, lost) = bench.orphan().await?;
    let (taker, second) = takes_over(&bench, lost, 2).await?;
    taker.leaves("the taker panics too", second.fence, Leave::OutcomeUnknown, Standing::Held).await?;
    takes_over(&bench, second, 3).await.map(drop)
}

async fn failed_takeover_settles_the_doubt(bench: Bench) -> Verdict {
    let (_, lost) = bench.orphan().await?;
    let (taker, grant) = takes_over(&bench, lost, 2).await?;
    taker.leaves("the taker fails", grant.fence, Leave::Failed, Standing::Held).await?;
    let next = bench.caller().parking();
    next.granted_as("the redelivery under park", 3, Previous::AfterFailure).await?;
    // No outcome is unknown any more, so a claim that is given up leaves a free key.
    next.gives_up("it gives up").await?;
    bench.caller().parking().granted_as("the redelivery after that", 3, Previous::AfterFailure).await.map(drop)
}

async fn completed_takeover_settles_the_doubt(bench: Bench) -> Verdict {
    let (_, lost) = bench.orphan().await?;
    let (taker, grant) = takes_over(&bench, lost, 2).await?;
    taker.completes_for("the taker's completion", grant.fence, &record("done"), bench.short, Standing::Held).await?;
    bench.past_the_short().await;
    bench.caller().parking().granted_first("a claim once the ttl is over").await.map(drop)
}
