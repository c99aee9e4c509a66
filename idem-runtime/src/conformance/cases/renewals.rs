//! Renewing a lease.

use super::{Case, cases};
use crate::conformance::bench::{Bench, LONG, record};
use crate::conformance::verdict::Verdict;
use crate::protocol::{ClaimAnswer, Leave, Previous, Standing};

pub(super) const CASES: &[Case] = cases! {
    "R6: a lease shorter than its handler" => renewal_extends_the_lease,
    "R6: a late renewal is accepted while nobody has taken over" => late_renewal_is_held,
    "R7: a renewal by another owner" => renewal_by_another_owner_is_lost,
    "R7: a renewal with another fence" => renewal_with_another_fence_is_lost,
    "R7: a renewal after a takeover" => renewal_after_a_takeover_is_lost,
    "OutcomeUnknown is a state: a renewal that is under way would extend a lease that was ended"
        => renewal_does_not_revive_an_unknown_key,
    "a renewal of a key that was ended in another way" => renewal_of_an_ended_key_is_lost,
    "a renewal creates no row" => renewal_of_an_absent_key_is_lost,
};

async fn renewal_extends_the_lease(bench: Bench) -> Verdict {
    let holder = bench.caller().lease(bench.short);
    let grant = holder.granted("a claim with a short lease").await?;
    holder.clone().lease(LONG).renews("its renewal with a long lease", grant.fence, Standing::Held).await?;
    bench.past_the_short().await;
    bench.caller().held_off("a rival once the short lease is over").await?;
    holder.completes("the completion", grant.fence, &record("done"), Standing::Held).await
}

async fn late_renewal_is_held(bench: Bench) -> Verdict {
    let (holder, grant) = bench.dead().await?;
    holder.lease(LONG).renews("a renewal once the lease is over", grant.fence, Standing::Held).await?;
    bench.caller().held_off("a rival after it").await.map(drop)
}

async fn renewal_by_another_owner_is_lost(bench: Bench) -> Verdict {
    let holder = bench.caller().lease(bench.short);
    let grant = holder.granted("the first claim").await?;
    bench.caller().renews("a stranger's renewal with the holder's fence", grant.fence, Standing::Lost).await?;
    bench.past_the_short().await;
    // If the renewal had counted, the lease would still hold.
    bench.caller().granted("a rival once the lease is over").await.map(drop)
}

async fn renewal_with_another_fence_is_lost(bench: Bench) -> Verdict {
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    holder.renews("a renewal with a lower fence", grant.fence - 1, Standing::Lost).await?;
    holder.renews("a renewal with a higher fence", grant.fence + 1, Standing::Lost).await?;
    holder.renews("the right renewal", grant.fence, Standing::Held).await
}

async fn renewal_after_a_takeover_is_lost(bench: Bench) -> Verdict {
    let (dead, lost) = bench.dead().await?;
    let taker = bench.caller();
    let grant = taker.granted("the takeover").await?;
    dead.renews("the dead holder's renewal", lost.fence, Standing::Lost).await?;
    dead.renews("its renewal with the taker's fence", grant.fence, Standing::Lost).await?;
    taker.renews("the taker's renewal", grant.fence, Standing::Held).await?;
    taker.completes("the taker's completion", grant.fence, &record("done"), Standing::Held).await
}

async fn renewal_does_not_revive_an_unknown_key(bench: Bench) -> Verdict {
    let (holder, grant) = bench.orphan().await?;
    holder.renews("a renewal that was under way when the holder panicked", grant.fence, Standing::Lost).await?;
    bench.caller().parking().told("a claim under park after it", ClaimAnswer::Orphaned).await?;
    let previous = Previous::AfterCrash { fence: grant.fence };
    bench.caller().granted_as("a takeover after it", 2, previous).await.map(drop)
}

async fn renewal_of_an_ended_key_is_lost(bench: Bench) -> Verdict {
    for how in [Leave::Failed, Leave::Keep] {
        let holder = bench.caller_of(format!("{how:?}"));
        let grant = holder.granted("the first claim").await?;
        holder.leaves("the holder leaves", grant.fence, how, Standing::Held).await?;
        holder.renews(format!("a renewal after {how:?}"), grant.fence, Standing::Lost).await?;
    }
    let result = record("result");
    let (holder, grant) = bench.completed(&result).await?;
    holder.renews("a renewal after the completion", grant.fence, Standing::Lost).await?;
    bench.caller().replayed("a duplicate after it", &result).await
}

async fn renewal_of_an_absent_key_is_lost(bench: Bench) -> Verdict {
    bench.caller().renews("a renewal of a key that nobody claimed", 1, Standing::Gone).await?;
    bench.caller().granted_first("a claim after it").await.map(drop)
}
