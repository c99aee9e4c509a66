//! Leaving a key without completing it, after its body was started.

use super::{Case, cases};
use crate::conformance::bench::{Bench, record};
use crate::conformance::verdict::Verdict;
use crate::protocol::{ClaimAnswer, Leave, Previous, Standing};

pub(super) const CASES: &[Case] = cases! {
    "R9: a release whose answer was lost" => repeated_release_is_held,
    "fault: the zombie's failure deletes the taker's claim" => release_after_a_takeover_is_lost,
    "fault: the zombie's failure deletes the taker's record" => release_of_a_completed_key_is_lost,
    "fault: a loser or waiter frees the owner's key" => release_of_anothers_claim_is_lost,
    "R7: a release with another fence" => release_with_another_fence_is_lost,
    "no ending creates a row" => release_of_an_absent_key_is_lost,
    "R7: a known outcome is better than an unknown one" => failure_after_a_panic_is_held,
    "R7: a failure is accepted after the lease" => late_failure_is_held,
    "an ending that comes after another changes nothing" => second_ending_changes_nothing,
    "an ambiguous failure holds the key" => kept_key_is_held_until_its_lease_ends,
};

/// The endings that go by owner and fence.
const FENCED: [Leave; 3] = [Leave::Failed, Leave::OutcomeUnknown, Leave::Keep];

async fn repeated_release_is_held(bench: Bench) -> Verdict {
    for how in FENCED {
        let call = bench.caller_of(format!("{how:?}"));
        let grant = call.granted("the first claim").await?;
        call.leaves(format!("a release as {how:?}"), grant.fence, how, Standing::Held).await?;
        call.leaves(format!("its repeat as {how:?}"), grant.fence, how, Standing::Held).await?;
    }
    Ok(())
}

async fn release_after_a_takeover_is_lost(bench: Bench) -> Verdict {
    let (zombie, lost) = bench.dead().await?;
    let taker = bench.caller();
    let grant = taker.granted("the takeover").await?;
    for how in FENCED {
        zombie.leaves(format!("the zombie's release as {how:?}"), lost.fence, how, Standing::Lost).await?;
        bench.caller().held_off("a duplicate after it").await?;
    }
    taker.completes("the taker's completion", grant.fence, &record("taker"), Standing::Held).await?;
    for how in FENCED {
        zombie.leaves(format!("the zombie's release as {how:?} after it"), lost.fence, how, Standing::Lost).await?;
    }
    bench.caller().replayed("a duplicate", &record("taker")).await
}

async fn release_of_a_completed_key_is_lost(bench: Bench) -> Verdict {
    let result = record("result");
    let (holder, grant) = bench.completed(&result).await?;
    for how in FENCED {
        holder.leaves(format!("the holder's release as {how:?}"), grant.fence, how, Standing::Lost).await?;
        bench.caller().replayed(format!("a duplicate after {how:?}"), &result).await?;
    }
    Ok(())
}

async fn release_of_anothers_claim_is_lost(bench: Bench) -> Verdict {
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    for how in FENCED {
        let step = format!("a stranger's release as {how:?}, with the holder's fence");
        bench.caller().leaves(step, grant.fence, how, Standing::Lost).await?;
        bench.caller().held_off(format!("a duplicate after {how:?}")).await?;
    }
    holder.completes("the holder's completion", grant.fence, &record("done"), Standing::Held).await
}

async fn release_with_another_fence_is_lost(bench: Bench) -> Verdict {
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    for how in FENCED {
        holder.leaves(format!("{how:?} with a lower fence"), grant.fence - 1, how, Standing::Lost).await?;
        holder.leaves(format!("{how:?} with a higher fence"), grant.fence + 1, how, Standing::Lost).await?;
        bench.caller().held_off(format!("a duplicate after {how:?}")).await?;
    }
    holder.renews("the holder's renewal", grant.fence, Standing::Held).await
}

async fn release_of_an_absent_key_is_lost(bench: Bench) -> Verdict {
    for how in FENCED {
        bench.caller().leaves(format!("{how:?} of a key that nobody claimed"), 1, how, Standing::Gone).await?;
    }
    bench.caller().granted_first("a claim after it").await.map(drop)
}

async fn failure_after_a_panic_is_held(bench: Bench) -> Verdict {
    let (holder, grant) = bench.orphan().await?;
    holder.leaves("Failed after OutcomeUnknown", grant.fence, Leave::Failed, Standing::Held).await?;
    bench.caller().parking().granted_as("the redelivery under park", 2, Previous::AfterFailure).await.map(drop)
}

async fn late_failure_is_held(bench: Bench) -> Verdict {
    let (holder, grant) = bench.dead().await?;
    holder.leaves("Failed once the lease is over", grant.fence, Leave::Failed, Standing::Held).await?;
    bench.caller().parking().granted_as("the redelivery under park", 2, Previous::AfterFailure).await.map(drop)
}

async fn second_ending_changes_nothing(bench: Bench) -> Verdict {
    let holder = bench.caller_of("failed");
    let grant = holder.granted("the first claim").await?;
    holder.leaves("Failed", grant.fence, Leave::Failed, Standing::Held).await?;
    holder.leaves("OutcomeUnknown after Failed", grant.fence, Leave::OutcomeUnknown, Standing::Held).await?;
    holder.leaves("Keep after Failed", grant.fence, Leave::Keep, Standing::Held).await?;
    bench.caller_of("failed").granted_as("the redelivery", 2, Previous::AfterFailure).await?;

    let holder = bench.caller_of("unknown");
    let grant = holder.granted("the first claim").await?;
    holder.leaves("OutcomeUnknown", grant.fence, Leave::OutcomeUnknown, Standing::Held).await?;
    holder.leaves("Keep after OutcomeUnknown", grant.fence, Leave::Keep, Standing::Held).await?;
    bench.caller_of("unknown").parking().told("a claim under park", ClaimAnswer::Orphaned).await?;

    let holder = bench.caller_of("kept");
    let grant = holder.granted("the first claim").await?;
    holder.leaves("Keep", grant.fence, Leave::Keep, Standing::Held).await?;
    holder.leaves("OutcomeUnknown after Keep", grant.fence, Leave::OutcomeUnknown, Standing::Held).await?;
    bench.caller_of("kept").held_off("a duplicate").await.map(drop)
}

async fn kept_key_is_held_until_its_lease_ends(bench: Bench) -> Verdict {
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    holder.leaves("the holder keeps the key", grant.fence, Leave::Keep, Standing::Held).await?;
    bench.caller().held_off("a duplicate").await?;
    bench.caller().parking().held_off("a duplicate under park").await.map(drop)
}
