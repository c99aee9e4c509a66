//! Late copies of the claim of a caller that has gone. Without the answer `Ended`, such a copy is granted the key, and
//! the key is blocked for the length of a lease.

use super::{Case, cases};
use crate::conformance::bench::{Bench, record};
use crate::conformance::verdict::Verdict;
use crate::protocol::{ClaimAnswer, Leave, Previous, Standing};

pub(super) const CASES: &[Case] = cases! {
    "R9: a late copy of a claim after Failed" => late_claim_after_a_failure_is_ended,
    "R9: a late copy of a claim after OutcomeUnknown" => late_claim_after_a_panic_is_ended,
    "R9: a late copy of a claim after Keep" => late_claim_after_a_keep_is_ended,
    "R9: a late copy of a claim after NotRun" => late_claim_after_not_run_is_ended,
    "R9: a late copy of a claim once its completion has expired" => late_claim_after_the_ttl_is_ended,
    "R9: a late copy of a claim after a takeover" => late_claim_after_a_takeover_is_ended,
    "R9: the last four owners are remembered: three are too few for a copy that three calls overtake"
        => last_four_owners_are_remembered,
    "R9: a copy of a rival's claim that arrives when the holder has died"
        => late_claim_of_a_rival_that_gave_up_is_ended,
};

async fn late_claim_after_a_failure_is_ended(bench: Bench) -> Verdict {
    let call = bench.caller();
    let grant = call.granted("the first claim").await?;
    call.leaves("the call fails", grant.fence, Leave::Failed, Standing::Held).await?;
    call.told("a late copy of its claim", ClaimAnswer::Ended).await?;
    bench.caller().granted_as("the redelivery", 2, Previous::AfterFailure).await.map(drop)
}

async fn late_claim_after_a_panic_is_ended(bench: Bench) -> Verdict {
    let (call, grant) = bench.orphan().await?;
    call.told("a late copy of the claim of the call that panicked", ClaimAnswer::Ended).await?;
    let previous = Previous::AfterCrash { fence: grant.fence };
    bench.caller().granted_as("the redelivery", 2, previous).await.map(drop)
}

async fn late_claim_after_a_keep_is_ended(bench: Bench) -> Verdict {
    let call = bench.caller().lease(bench.short);
    let grant = call.granted("the first claim").await?;
    call.leaves("the call fails and keeps the key", grant.fence, Leave::Keep, Standing::Held).await?;
    call.told("a late copy of its claim", ClaimAnswer::Ended).await?;
    bench.past_the_short().await;
    call.told("one that comes once the lease is over", ClaimAnswer::Ended).await
}

async fn late_claim_after_not_run_is_ended(bench: Bench) -> Verdict {
    let call = bench.caller();
    call.granted("the first claim").await?;
    call.gives_up("the call gives up").await?;
    call.told("a late copy of its claim", ClaimAnswer::Ended).await?;
    bench.caller().granted_first("the redelivery").await.map(drop)
}

async fn late_claim_after_the_ttl_is_ended(bench: Bench) -> Verdict {
    let call = bench.caller();
    let grant = call.granted("the first claim").await?;
    call.completes_for("its completion", grant.fence, &record("done"), bench.short, Standing::Held).await?;
    bench.past_the_short().await;
    call.told("a late copy of its claim, the ttl being over", ClaimAnswer::Ended).await
}

async fn late_claim_after_a_takeover_is_ended(bench: Bench) -> Verdict {
    let (dead, _) = bench.dead().await?;
    let taker = bench.caller();
    let grant = taker.granted("the takeover").await?;
    dead.told("a late copy of the dead holder's claim", ClaimAnswer::Ended).await?;
    taker.leaves("the taker panics", grant.fence, Leave::OutcomeUnknown, Standing::Held).await?;
    dead.told("one that comes when the key is an orphan again", ClaimAnswer::Ended).await
}

async fn last_four_owners_are_remembered(bench: Bench) -> Verdict {
    // The row's own owner and four before it.
    let mut gone = Vec::new();
    for attempt in 1..=5 {
        let call = bench.caller();
        let grant = call.granted(format!("claim {attempt}")).await?;
        call.leaves(format!("call {attempt} fails"), grant.fence, Leave::Failed, Standing::Held).await?;
        gone.push(call);
    }
    for (attempt, call) in (1..).zip(&gone) {
        call.told(format!("a late copy of claim {attempt} of 5"), ClaimAnswer::Ended).await?;
    }
    Ok(())
}

async fn late_claim_of_a_rival_that_gave_up_is_ended(bench: Bench) -> Verdict {
    bench.caller().lease(bench.short).granted("the holder's claim").await?;
    let rival = bench.caller();
    rival.gives_up("a rival whose claim is under way gives up").await?;
    bench.past_the_short().await;
    rival.told("the rival's claim arrives, the holder having died", ClaimAnswer::Ended).await
}
