//! Claiming a key that is free, running or completed.

use std::time::Duration;

use super::{Case, cases};
use crate::conformance::bench::{Bench, LONG, record};
use crate::conformance::verdict::{Verdict, ensure, equal};
use crate::protocol::{ClaimAnswer, Leave, Previous, Standing};
use crate::task::timer;

pub(super) const CASES: &[Case] = cases! {
    "a free key is granted as First, attempt 1" => free_key_is_granted,
    "R9, fault: a repeated claim takes its own row for a rival's" => repeated_claim_is_granted_the_same,
    "R9: a repeat after a failure says AfterFailure again" => repeated_claim_after_a_failure_is_granted_the_same,
    "R9: a repeated takeover gets the same grant, and no first run" => repeated_takeover_is_granted_the_same,
    "a repeated claim renews the lease" => repeated_claim_renews_the_lease,
    "R9: a late repeat keeps the fence, or a running holder is fenced out by its own request"
        => late_repeated_claim_keeps_the_fence,
    "R3: a duplicate of a running key" => running_key_is_in_progress,
    "R3: a broker gets the remaining lease as delay" => remaining_lease_counts_down,
    "R3, fault: a duplicate of a running key is acknowledged as handled" => running_key_is_not_completed,
    "R4: a duplicate of a completed key" => completed_key_is_replayed,
    "R4: a late copy of the holder's own claim" => completed_key_is_replayed_to_its_holder,
    "R4: on_crash doesn't matter for a completed key" => completed_key_is_replayed_under_park,
    "R10: all handles decide by the store's clock" => handles_share_the_stores_clock,
    "R12: a redelivery after a failure is told from a first delivery"
        => failed_key_is_granted_as_after_failure,
};

async fn free_key_is_granted(bench: Bench) -> Verdict {
    let grant = bench.caller().granted_first("the first claim").await?;
    ensure(grant.fence > 0, "the first claim", "a fence above 0, which stands for no protection", grant)
}

async fn repeated_claim_is_granted_the_same(bench: Bench) -> Verdict {
    let call = bench.caller();
    let grant = call.granted_first("the first claim").await?;
    call.told("its repeat", ClaimAnswer::Acquired(grant)).await?;
    call.told("a second repeat", ClaimAnswer::Acquired(grant)).await?;
    call.completes("the completion", grant.fence, &record("done"), Standing::Held).await
}

async fn repeated_claim_after_a_failure_is_granted_the_same(bench: Bench) -> Verdict {
    let failing = bench.caller();
    let grant = failing.granted("the first claim").await?;
    failing.leaves("its release", grant.fence, Leave::Failed, Standing::Held).await?;
    let call = bench.caller();
    let grant = call.granted_as("a claim of the failed key", 2, Previous::AfterFailure).await?;
    call.told("its repeat", ClaimAnswer::Acquired(grant)).await
}

async fn repeated_takeover_is_granted_the_same(bench: Bench) -> Verdict {
    let (_, lost) = bench.orphan().await?;
    let taker = bench.caller();
    let grant = taker.granted_as("the takeover", 2, Previous::AfterCrash { fence: lost.fence }).await?;
    taker.told("its repeat", ClaimAnswer::Acquired(grant)).await
}

async fn repeated_claim_renews_the_lease(bench: Bench) -> Verdict {
    let call = bench.caller().lease(bench.short);
    let grant = call.granted("a claim with a short lease").await?;
    call.clone().lease(LONG).told("its repeat with a long lease", ClaimAnswer::Acquired(grant)).await?;
    bench.past_the_short().await;
    bench.caller().held_off("a rival once the short lease is over").await.map(drop)
}

async fn late_repeated_claim_keeps_the_fence(bench: Bench) -> Verdict {
    let (call, grant) = bench.dead().await?;
    let call = call.lease(LONG);
    call.told("its repeat once the lease is over, nobody having taken over", ClaimAnswer::Acquired(grant)).await?;
    bench.caller().held_off("a rival").await?;
    call.completes("the completion with the fence of the first grant", grant.fence, &record("done"), Standing::Held)
        .await
}

async fn running_key_is_in_progress(bench: Bench) -> Verdict {
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    bench.caller().held_off("a duplicate").await?;
    bench.caller().parking().held_off("a duplicate under park").await?;
    holder.renews("the holder's renewal after its duplicates", grant.fence, Standing::Held).await?;
    holder.completes("the holder's completion", grant.fence, &record("done"), Standing::Held).await
}

async fn remaining_lease_counts_down(bench: Bench) -> Verdict {
    let lease = Duration::from_secs(60);
    bench.caller().lease(lease).granted("a claim with a lease of 60 s").await?;
    let before = bench.caller().held_off("a duplicate").await?;
    let most = lease + bench.margin();
    ensure(before <= most, "a duplicate", format!("at most {most:?} remaining"), before)?;
    timer::sleep(bench.short).await;
    let after = bench.caller().held_off("another, a while later").await?;
    let most = before.saturating_sub(bench.short) + bench.margin();
    ensure(after <= most, "another, a while later", format!("at most {most:?} remaining"), after)
}

async fn running_key_is_not_completed(bench: Bench) -> Verdict {
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    let duplicate = bench.caller();
    duplicate.held_off("a duplicate of a running key").await?;
    holder.leaves("the holder fails", grant.fence, Leave::Failed, Standing::Held).await?;
    duplicate.granted("the duplicate, delivered again").await.map(drop)
}

async fn completed_key_is_replayed(bench: Bench) -> Verdict {
    let result = record("result");
    bench.completed(&result).await?;
    bench.caller().replayed("a duplicate", &result).await?;
    bench.caller().replayed("another", &result).await
}

async fn completed_key_is_replayed_to_its_holder(bench: Bench) -> Verdict {
    let result = record("result");
    let (holder, _) = bench.completed(&result).await?;
    holder.replayed("a late copy of the holder's claim", &result).await
}

async fn completed_key_is_replayed_under_park(bench: Bench) -> Verdict {
    let result = record("result");
    bench.completed(&result).await?;
    bench.caller().parking().replayed("a duplicate under park", &result).await
}

async fn handles_share_the_stores_clock(bench: Bench) -> Verdict {
    let lease = Duration::from_secs(60);
    bench.caller().lease(lease).granted("a claim with a lease of 60 s").await?;
    for handle in 1..=8 {
        let step = format!("a duplicate on handle {handle}");
        let remaining = bench.caller().held_off(&step).await?;
        let right = remaining > lease / 2 && remaining <= lease + bench.margin();
        ensure(right, step, "about 60 s remaining", remaining)?;
    }
    Ok(())
}

async fn failed_key_is_granted_as_after_failure(bench: Bench) -> Verdict {
    let failing = bench.caller();
    let first = failing.granted("the first claim").await?;
    failing.leaves("its release", first.fence, Leave::Failed, Standing::Held).await?;
    let second = bench.caller();
    let grant = second.granted_as("the redelivery", 2, Previous::AfterFailure).await?;
    ensure(grant.fence > first.fence, "the redelivery", format!("a fence above {}", first.fence), grant)?;
    second.leaves("it fails too", grant.fence, Leave::Failed, Standing::Held).await?;
    let third = bench.caller().granted_as("the redelivery after that", 3, Previous::AfterFailure).await?;
    equal("the fences", third.fence > grant.fence, true)
}
