//! Claims of the same key with another fingerprint.

use super::{Case, cases};
use crate::conformance::bench::{Bench, record};
use crate::conformance::verdict::Verdict;
use crate::protocol::{ClaimAnswer, Leave, Standing};

pub(super) const CASES: &[Case] = cases! {
    "KeyReused while running" => running_key_refuses_another_fingerprint,
    "KeyReused while kept" => kept_key_refuses_another_fingerprint,
    "KeyReused for an orphan: else another payload runs after an unknown effect" => orphan_refuses_another_fingerprint,
    "KeyReused for a key whose holder died" => dead_key_refuses_another_fingerprint,
    "fault: a completion drops the fingerprint, or a fast path skips it"
        => completed_key_refuses_another_fingerprint,
    "if the claim or the row has no fingerprint, they match" => missing_fingerprint_matches,
    "a key that is free or expired takes the next claim's fingerprint" => freed_key_takes_a_new_fingerprint,
    "a takeover sets its own fingerprint" => takeover_takes_a_new_fingerprint,
};

async fn running_key_refuses_another_fingerprint(bench: Bench) -> Verdict {
    let holder = bench.caller().fingerprint(1);
    let grant = holder.granted("a claim with fingerprint 1").await?;
    bench.caller().fingerprint(2).told("a claim with fingerprint 2", ClaimAnswer::KeyReused).await?;
    bench.caller().fingerprint(1).held_off("a duplicate").await?;
    holder.renews("the holder's renewal", grant.fence, Standing::Held).await
}

async fn kept_key_refuses_another_fingerprint(bench: Bench) -> Verdict {
    let holder = bench.caller().fingerprint(1);
    let grant = holder.granted("a claim with fingerprint 1").await?;
    holder.leaves("the holder keeps the key", grant.fence, Leave::Keep, Standing::Held).await?;
    bench.caller().fingerprint(2).told("a claim with fingerprint 2", ClaimAnswer::KeyReused).await?;
    bench.caller().fingerprint(1).held_off("a duplicate").await.map(drop)
}

async fn orphan_refuses_another_fingerprint(bench: Bench) -> Verdict {
    let holder = bench.caller().fingerprint(1);
    let grant = holder.granted("a claim with fingerprint 1").await?;
    holder.leaves("the holder panics", grant.fence, Leave::OutcomeUnknown, Standing::Held).await?;
    bench.caller().fingerprint(2).told("a takeover with fingerprint 2", ClaimAnswer::KeyReused).await?;
    bench.caller().fingerprint(2).parking().told("the same under park", ClaimAnswer::KeyReused).await?;
    bench.caller().fingerprint(1).parking().told("a duplicate under park", ClaimAnswer::Orphaned).await?;
    bench.caller().fingerprint(1).granted("a duplicate under rerun").await.map(drop)
}

async fn dead_key_refuses_another_fingerprint(bench: Bench) -> Verdict {
    bench.caller().fingerprint(1).lease(bench.short).granted("a claim with fingerprint 1").await?;
    bench.past_the_short().await;
    bench.caller().fingerprint(2).told("a takeover with fingerprint 2", ClaimAnswer::KeyReused).await?;
    bench.caller().fingerprint(1).granted("a takeover with fingerprint 1").await.map(drop)
}

async fn completed_key_refuses_another_fingerprint(bench: Bench) -> Verdict {
    let result = record("result");
    let holder = bench.caller().fingerprint(1);
    let grant = holder.granted("a claim with fingerprint 1").await?;
    holder.completes("its completion", grant.fence, &result, Standing::Held).await?;
    bench.caller().fingerprint(2).told("a claim with fingerprint 2", ClaimAnswer::KeyReused).await?;
    bench.caller().fingerprint(1).replayed("a duplicate", &result).await
}

async fn missing_fingerprint_matches(bench: Bench) -> Verdict {
    let result = record("result");
    for (name, stored, asked) in [("stored", Some(1), None), ("asked", None, Some(1))] {
        let caller = |fingerprint: Option<u8>| {
            let caller = bench.caller_of(name);
            fingerprint.map_or(caller.clone(), |of| caller.fingerprint(of))
        };
        let holder = caller(stored);
        let grant = holder.granted("the first claim").await?;
        caller(asked).held_off(format!("a duplicate where only one side has a fingerprint ({name})")).await?;
        holder.leaves("the holder panics", grant.fence, Leave::OutcomeUnknown, Standing::Held).await?;
        caller(asked).parking().told("the same of an orphan", ClaimAnswer::Orphaned).await?;
        holder.completes("the holder completes late", grant.fence, &result, Standing::Held).await?;
        caller(asked).replayed("the same of a completed key", &result).await?;
    }
    Ok(())
}

async fn freed_key_takes_a_new_fingerprint(bench: Bench) -> Verdict {
    let failing = bench.caller().fingerprint(1);
    let grant = failing.granted("a claim with fingerprint 1").await?;
    failing.leaves("it fails", grant.fence, Leave::Failed, Standing::Held).await?;
    let second = bench.caller().fingerprint(2);
    let grant = second.granted("a claim of the freed key with fingerprint 2").await?;
    bench.caller().fingerprint(1).told("a claim with fingerprint 1", ClaimAnswer::KeyReused).await?;
    second.completes_for("the completion", grant.fence, &record("done"), bench.short, Standing::Held).await?;
    bench.past_the_short().await;
    bench.caller().fingerprint(3).granted_first("a claim of the expired key with fingerprint 3").await?;
    bench.caller().fingerprint(2).told("a claim with fingerprint 2", ClaimAnswer::KeyReused).await
}

async fn takeover_takes_a_new_fingerprint(bench: Bench) -> Verdict {
    bench.orphan().await?;
    bench.caller().fingerprint(1).granted("a takeover with fingerprint 1 of a key without one").await?;
    bench.caller().fingerprint(2).told("a claim with fingerprint 2", ClaimAnswer::KeyReused).await
}
