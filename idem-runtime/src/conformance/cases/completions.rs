//! Recording an outcome.

use super::{Case, cases};
use crate::conformance::bench::{Bench, record};
use crate::conformance::verdict::{Verdict, ensure};
use crate::protocol::{ClaimAnswer, Leave, Previous, Standing};

pub(super) const CASES: &[Case] = cases! {
    "R9: a completion whose answer was lost" => repeated_completion_is_held,
    "R9: a repeated completion is Held even after its ttl" => repeated_completion_is_held_after_its_ttl,
    "a completion is an update: an upsert would record it anew after its ttl" => completion_of_an_absent_key_is_lost,
    "R7: a completion by another owner" => completion_by_another_owner_is_lost,
    "R7: a completion with another fence" => completion_with_another_fence_is_lost,
    "R7: a known outcome is better than an unknown one" => late_completion_is_held,
    "a completion is accepted after the guard has written OutcomeUnknown" => completion_after_a_panic_is_held,
    "fault: an ending without a check of the fence" => completion_after_a_takeover_is_lost,
    "fault: the zombie completes what the taker has completed" => completion_after_the_takers_is_lost,
    "fault: the zombie completes what the taker has failed" => completion_after_the_takers_failure_is_lost,
    "a completion after Failed or Keep" => completion_of_an_ended_key_is_lost,
    "the zombie completes a key that has expired and was claimed again" => completion_of_an_earlier_life_is_lost,
    "a completed key is remembered for longer than its lease" => completion_outlives_the_lease,
};

async fn repeated_completion_is_held(bench: Bench) -> Verdict {
    let result = record("result");
    let (holder, grant) = bench.completed(&result).await?;
    holder.completes("its repeat", grant.fence, &result, Standing::Held).await?;
    holder.completes("a repeat with other bytes", grant.fence, &record("other"), Standing::Held).await?;
    bench.caller().replayed("a duplicate", &result).await
}

async fn repeated_completion_is_held_after_its_ttl(bench: Bench) -> Verdict {
    let (result, holder) = (record("result"), bench.caller());
    let grant = holder.granted("the first claim").await?;
    holder.completes_for("the completion", grant.fence, &result, bench.short, Standing::Held).await?;
    bench.past_the_short().await;
    holder.completes("its repeat once the ttl is over", grant.fence, &result, Standing::Held).await?;
    // The repeat changed nothing, so the ttl doesn't start anew.
    bench.caller().granted_first("a claim after it").await.map(drop)
}

async fn completion_of_an_absent_key_is_lost(bench: Bench) -> Verdict {
    bench.caller().completes("a completion of a key that nobody claimed", 1, &record("x"), Standing::Gone).await?;
    bench.caller().granted_first("a claim after it").await.map(drop)
}

async fn completion_by_another_owner_is_lost(bench: Bench) -> Verdict {
    let (result, holder) = (record("result"), bench.caller());
    let grant = holder.granted("the first claim").await?;
    let stranger = bench.caller();
    stranger.completes("a stranger's, with the holder's fence", grant.fence, &record("x"), Standing::Lost).await?;
    bench.caller().held_off("a duplicate after it").await?;
    holder.completes("the holder's", grant.fence, &result, Standing::Held).await?;
    stranger.completes("a stranger's after it", grant.fence, &record("x"), Standing::Lost).await?;
    bench.caller().replayed("a duplicate", &result).await
}

async fn completion_with_another_fence_is_lost(bench: Bench) -> Verdict {
    let (result, holder) = (record("result"), bench.caller());
    let grant = holder.granted("the first claim").await?;
    holder.completes("a completion with a lower fence", grant.fence - 1, &record("x"), Standing::Lost).await?;
    holder.completes("a completion with a higher fence", grant.fence + 1, &record("x"), Standing::Lost).await?;
    bench.caller().held_off("a duplicate").await?;
    holder.completes("the right one", grant.fence, &result, Standing::Held).await?;
    holder.completes("another one with a lower fence", grant.fence - 1, &record("x"), Standing::Lost).await?;
    bench.caller().replayed("a duplicate", &result).await
}

async fn late_completion_is_held(bench: Bench) -> Verdict {
    let (holder, grant) = bench.dead().await?;
    let result = record("result");
    holder.completes("a completion once the lease is over", grant.fence, &result, Standing::Held).await?;
    bench.caller().replayed("a duplicate", &result).await
}

async fn completion_after_a_panic_is_held(bench: Bench) -> Verdict {
    let (holder, grant) = bench.orphan().await?;
    let result = record("result");
    holder.completes("a completion after OutcomeUnknown", grant.fence, &result, Standing::Held).await?;
    bench.caller().parking().replayed("a duplicate under park", &result).await
}

async fn completion_after_a_takeover_is_lost(bench: Bench) -> Verdict {
    let (zombie, lost) = bench.dead().await?;
    let taker = bench.caller();
    let grant = taker.granted("the takeover").await?;
    zombie.completes("the zombie's completion", lost.fence, &record("zombie"), Standing::Lost).await?;
    bench.caller().held_off("a duplicate after it").await?;
    taker.completes("the taker's completion", grant.fence, &record("taker"), Standing::Held).await?;
    bench.caller().replayed("a duplicate", &record("taker")).await
}

async fn completion_after_the_takers_is_lost(bench: Bench) -> Verdict {
    let (zombie, lost) = bench.dead().await?;
    let taker = bench.caller();
    let grant = taker.granted("the takeover").await?;
    taker.completes("the taker's completion", grant.fence, &record("taker"), Standing::Held).await?;
    zombie.completes("the zombie's after it", lost.fence, &record("zombie"), Standing::Lost).await?;
    bench.caller().replayed("a duplicate", &record("taker")).await
}

async fn completion_after_the_takers_failure_is_lost(bench: Bench) -> Verdict {
    let (zombie, lost) = bench.dead().await?;
    let taker = bench.caller();
    let grant = taker.granted("the takeover").await?;
    taker.leaves("the taker fails", grant.fence, Leave::Failed, Standing::Held).await?;
    zombie.completes("the zombie's completion after it", lost.fence, &record("zombie"), Standing::Lost).await?;
    bench.caller().granted_as("the redelivery", 3, Previous::AfterFailure).await.map(drop)
}

async fn completion_of_an_ended_key_is_lost(bench: Bench) -> Verdict {
    for how in [Leave::Failed, Leave::Keep] {
        let key = format!("{how:?}");
        let holder = bench.caller_of(&key);
        let grant = holder.granted("the first claim").await?;
        holder.leaves("the holder leaves", grant.fence, how, Standing::Held).await?;
        holder.completes(format!("a completion after {how:?}"), grant.fence, &record("x"), Standing::Lost).await?;
        let next = bench.caller_of(&key).claim("a claim after it").await?;
        let unchanged = match how {
            Leave::Failed => matches!(next, ClaimAnswer::Acquired(_)),
            _ => matches!(next, ClaimAnswer::InProgress { .. }),
        };
        ensure(unchanged, "a claim after it", "the key as it was", next)?;
    }
    Ok(())
}

async fn completion_of_an_earlier_life_is_lost(bench: Bench) -> Verdict {
    let (result, zombie) = (record("result"), bench.caller());
    let lost = zombie.granted("the first claim").await?;
    zombie.completes_for("its completion", lost.fence, &result, bench.short, Standing::Held).await?;
    bench.past_the_short().await;
    let holder = bench.caller();
    let grant = holder.granted_first("a claim once the ttl is over").await?;
    zombie.completes("a late copy of the completion", lost.fence, &result, Standing::Lost).await?;
    holder.completes("the new holder's completion", grant.fence, &record("new"), Standing::Held).await?;
    bench.caller().replayed("a duplicate", &record("new")).await
}

async fn completion_outlives_the_lease(bench: Bench) -> Verdict {
    let (result, holder) = (record("result"), bench.caller().lease(bench.short));
    let grant = holder.granted("a claim with a short lease").await?;
    holder.completes("its completion", grant.fence, &result, Standing::Held).await?;
    bench.past_the_short().await;
    bench.caller().replayed("a duplicate once the lease would be over", &result).await
}
