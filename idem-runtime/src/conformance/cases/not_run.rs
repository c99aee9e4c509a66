//! Leaving a key before the body was started, or after a body that said that it did nothing. The caller may not know
//! whether its claim was granted.

use super::{Case, cases};
use crate::conformance::bench::{Bench, record};
use crate::conformance::verdict::{Verdict, ensure};
use crate::protocol::{ClaimAnswer, Leave, Previous, Standing};

pub(super) const CASES: &[Case] = cases! {
    "R9: NotRun arrives before its own claim, which is then refused" => not_run_before_its_claim_refuses_it,
    "R9: NotRun arrives before its own claim, on a key that failed before"
        => not_run_before_its_claim_refuses_it_on_a_free_key,
    "R13: dropped while claiming, nothing ran" => not_run_frees_the_key,
    "nothing ran, so the attempt isn't counted" => not_run_gives_the_attempt_back,
    "NotRun keeps what is known of an earlier failure" => not_run_keeps_the_failure,
    "NotRun of a takeover makes the key an orphan again: else the next call runs as First"
        => not_run_of_a_takeover_restores_the_orphan,
    "fault: a waiter that times out frees the owner's key" => not_run_of_a_stranger_leaves_the_holder,
    "R9: a NotRun whose answer was lost" => repeated_not_run_is_held,
    "NotRun of a duplicate leaves the record" => not_run_leaves_a_completed_key,
    "NotRun of a stranger leaves an orphan" => not_run_of_a_stranger_leaves_the_orphan,
    "a body that did nothing has renewed its lease" => skipped_behind_a_renewal_frees_the_key,
    "a body that did nothing has taken an orphan over and renewed its lease" => skipped_takeover_restores_the_orphan,
    "a body that did nothing returns after its lease: the key is no orphan" => skipped_after_its_lease_frees_the_key,
    "a body that did nothing was overtaken" => skipped_by_the_overtaken_leaves_the_holder,
    "NotRun is decided by the owner, because the caller may know no fence" => not_run_goes_by_the_owner,
};

async fn not_run_before_its_claim_refuses_it(bench: Bench) -> Verdict {
    let call = bench.caller();
    call.gives_up("a call gives up, its claim being under way").await?;
    call.told("its claim arrives", ClaimAnswer::Ended).await?;
    call.told("a copy of it arrives", ClaimAnswer::Ended).await?;
    let grant = bench.caller().granted_first("another call's claim").await?;
    ensure(grant.fence > 0, "another call's claim", "a fence above 0", grant)?;
    call.told("one more copy arrives", ClaimAnswer::Ended).await
}

async fn not_run_before_its_claim_refuses_it_on_a_free_key(bench: Bench) -> Verdict {
    let failing = bench.caller();
    let grant = failing.granted("the first claim").await?;
    failing.leaves("it fails", grant.fence, Leave::Failed, Standing::Held).await?;
    let call = bench.caller();
    call.gives_up("another call gives up, its claim being under way").await?;
    call.told("its claim arrives", ClaimAnswer::Ended).await?;
    bench.caller().granted_as("the redelivery", 2, Previous::AfterFailure).await.map(drop)
}

async fn not_run_frees_the_key(bench: Bench) -> Verdict {
    let call = bench.caller();
    let given_up = call.granted("the first claim").await?;
    call.gives_up("the call gives up").await?;
    let grant = bench.caller().granted_first("the redelivery").await?;
    ensure(grant.fence > given_up.fence, "the redelivery", format!("a fence above {}", given_up.fence), grant)?;
    call.completes("a completion of the call that gave up", given_up.fence, &record("x"), Standing::Lost).await
}

async fn not_run_gives_the_attempt_back(bench: Bench) -> Verdict {
    for round in 1..=3 {
        let call = bench.caller();
        call.granted_first(format!("claim {round}, all before it having given up")).await?;
        call.gives_up(format!("call {round} gives up")).await?;
    }
    Ok(())
}

async fn not_run_keeps_the_failure(bench: Bench) -> Verdict {
    let failing = bench.caller();
    let grant = failing.granted("the first claim").await?;
    failing.leaves("it fails", grant.fence, Leave::Failed, Standing::Held).await?;
    let call = bench.caller();
    call.granted_as("the redelivery", 2, Previous::AfterFailure).await?;
    call.gives_up("it gives up").await?;
    bench.caller().granted_as("the redelivery after that", 2, Previous::AfterFailure).await.map(drop)
}

async fn not_run_of_a_takeover_restores_the_orphan(bench: Bench) -> Verdict {
    let (_, lost) = bench.orphan().await?;
    let taker = bench.caller();
    taker.granted_as("the takeover", 2, Previous::AfterCrash { fence: lost.fence }).await?;
    taker.gives_up("the taker gives up before it has asked what happened").await?;
    bench.caller().parking().told("a claim under park", ClaimAnswer::Orphaned).await?;
    // The fence of the first holder, and not of the one that took over, which did nothing.
    let previous = Previous::AfterCrash { fence: lost.fence };
    bench.caller().granted_as("a claim under rerun", 2, previous).await.map(drop)
}

async fn not_run_of_a_stranger_leaves_the_holder(bench: Bench) -> Verdict {
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    let waiter = bench.caller();
    waiter.held_off("a waiter's claim").await?;
    waiter.gives_up("the waiter times out").await?;
    bench.caller().held_off("a duplicate after it").await?;
    holder.renews("the holder's renewal", grant.fence, Standing::Held).await?;
    holder.told("a repeat of the holder's claim", ClaimAnswer::Acquired(grant)).await?;
    holder.completes("the holder's completion", grant.fence, &record("done"), Standing::Held).await
}

async fn repeated_not_run_is_held(bench: Bench) -> Verdict {
    let call = bench.caller();
    call.granted("the first claim").await?;
    call.gives_up("the call gives up").await?;
    call.gives_up("a repeat").await?;
    bench.caller().granted_first("the redelivery").await?;
    call.gives_up("a late copy").await?;
    bench.caller().held_off("a duplicate after it").await.map(drop)
}

async fn not_run_leaves_a_completed_key(bench: Bench) -> Verdict {
    let result = record("result");
    let (holder, _) = bench.completed(&result).await?;
    bench.caller().gives_up("a duplicate gives up").await?;
    holder.gives_up("a late copy of the holder's own NotRun").await?;
    bench.caller().replayed("a duplicate", &result).await
}

async fn not_run_of_a_stranger_leaves_the_orphan(bench: Bench) -> Verdict {
    let (_, lost) = bench.orphan().await?;
    bench.caller().gives_up("another call gives up").await?;
    bench.caller().parking().told("a claim under park", ClaimAnswer::Orphaned).await?;
    let previous = Previous::AfterCrash { fence: lost.fence };
    bench.caller().granted_as("a claim under rerun", 2, previous).await.map(drop)
}

async fn not_run_goes_by_the_owner(bench: Bench) -> Verdict {
    let call = bench.caller();
    let grant = call.granted("the first claim").await?;
    call.leaves("NotRun with another fence", grant.fence + 1, Leave::NotRun, Standing::Held).await?;
    bench.caller().granted_first("the redelivery").await.map(drop)
}

async fn skipped_behind_a_renewal_frees_the_key(bench: Bench) -> Verdict {
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    holder.renews("a renewal", grant.fence, Standing::Held).await?;
    holder.leaves("its body did nothing", grant.fence, Leave::NotRun, Standing::Held).await?;
    holder.renews("a late renewal", grant.fence, Standing::Lost).await?;
    holder.told("a late copy of its claim", ClaimAnswer::Ended).await?;
    bench.caller().parking().granted_first("the redelivery").await.map(drop)
}

async fn skipped_takeover_restores_the_orphan(bench: Bench) -> Verdict {
    let (_, lost) = bench.orphan().await?;
    let (taker, previous) = (bench.caller(), Previous::AfterCrash { fence: lost.fence });
    let grant = taker.granted_as("the takeover", 2, previous).await?;
    taker.renews("a renewal", grant.fence, Standing::Held).await?;
    taker.leaves("its body did nothing", grant.fence, Leave::NotRun, Standing::Held).await?;
    bench.caller().parking().told("a claim under park", ClaimAnswer::Orphaned).await?;
    bench.caller().granted_as("a claim under rerun", 2, previous).await.map(drop)
}

async fn skipped_after_its_lease_frees_the_key(bench: Bench) -> Verdict {
    let (holder, grant) = bench.dead().await?;
    holder.leaves("its body did nothing", grant.fence, Leave::NotRun, Standing::Held).await?;
    bench.caller().parking().granted_first("the redelivery").await.map(drop)
}

async fn skipped_by_the_overtaken_leaves_the_holder(bench: Bench) -> Verdict {
    let (slow, lost) = bench.dead().await?;
    let taker = bench.caller();
    let previous = Previous::AfterCrash { fence: lost.fence };
    let grant = taker.granted_as("the takeover", 2, previous).await?;
    slow.leaves("the body that was overtaken did nothing", lost.fence, Leave::NotRun, Standing::Held).await?;
    bench.caller().held_off("a duplicate after it").await?;
    taker.completes("the taker's completion", grant.fence, &record("done"), Standing::Held).await
}
