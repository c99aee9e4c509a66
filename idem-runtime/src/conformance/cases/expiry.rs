//! Leases and ttls: their length, their clock, and what is left after them.

use std::time::{Duration, Instant};

use super::{Case, cases};
use crate::conformance::bench::{Bench, record};
use crate::conformance::verdict::{Stop, Verdict, ensure, failed};
use crate::protocol::{ClaimAnswer, Leave, Previous, Standing};
use crate::task::timer;

pub(super) const CASES: &[Case] = cases! {
    "R17: an expired key counts as absent" => expired_key_is_absent,
    "R8: fences grow after an expiry" => fence_grows_over_an_expiry,
    "R17: ttl counts from the completion" => ttl_counts_from_the_completion,
    "the lease of one key doesn't change another's" => leases_are_independent,
    "a lease of a day, exactly" => lease_of_a_day_is_one,
    "a lease and a ttl of a thousand years don't overflow" => thousand_years_are_long,
    "leases of less than a second are not rounded" => short_lease_is_neither_zero_nor_a_second,
    "R12: a failure is remembered for longer than its lease" => failure_outlives_the_lease,
};

async fn expired_key_is_absent(bench: Bench) -> Verdict {
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    holder.completes_for("its completion", grant.fence, &record("old"), bench.short, Standing::Held).await?;
    bench.past_the_short().await;
    bench.caller().parking().granted_first("a claim under park once the ttl is over").await?;
    bench.caller().held_off("a duplicate after it").await.map(drop)
}

async fn fence_grows_over_an_expiry(bench: Bench) -> Verdict {
    let mut last = 0;
    for life in 1..=3 {
        let holder = bench.caller();
        let step = format!("the first claim of life {life}");
        let grant = holder.granted_first(&step).await?;
        ensure(grant.fence > last, step, format!("a fence above {last}"), grant)?;
        last = grant.fence;
        let ttl = Duration::from_millis(1);
        holder.completes_for("its completion", grant.fence, &record("x"), ttl, Standing::Held).await?;
        timer::sleep(bench.margin()).await;
    }
    Ok(())
}

async fn ttl_counts_from_the_completion(bench: Bench) -> Verdict {
    let (result, holder) = (record("result"), bench.caller());
    let grant = holder.granted("the first claim").await?;
    let ttl = bench.short * 4;
    timer::sleep(bench.short * 2).await;
    let recorded = Instant::now();
    holder.completes_for("its completion, half a ttl later", grant.fence, &result, ttl, Standing::Held).await?;
    timer::sleep(bench.short * 2 + bench.margin()).await;
    let found = bench.caller().replayed("a duplicate within the ttl, counted from the completion", &result).await;
    // If the machine stood still for longer, the ttl is over.
    if recorded.elapsed() < ttl { found } else { Err(Stop::Skipped) }
}

async fn leases_are_independent(bench: Bench) -> Verdict {
    bench.caller_of("short").lease(bench.short).granted("a claim with a short lease").await?;
    bench.caller_of("long").granted("a claim of another key with a long one").await?;
    bench.past_the_short().await;
    bench.caller_of("long").held_off("a duplicate of the other key once the short lease is over").await?;
    bench.caller_of("short").granted("a rival for the first key").await.map(drop)
}

async fn lease_of_a_day_is_one(bench: Bench) -> Verdict {
    let day = Duration::from_secs(24 * 60 * 60);
    bench.caller().lease(day).granted("a claim with a lease of a day").await?;
    let duplicate = bench.caller();
    match duplicate.claim("a duplicate").await? {
        ClaimAnswer::InProgress { remaining }
            if remaining <= day + bench.margin() && remaining + Duration::from_secs(60) > day =>
        {
            Ok(())
        }
        other => Err(failed("a duplicate", "InProgress, with about 24 h remaining", other)),
    }
}

async fn thousand_years_are_long(bench: Bench) -> Verdict {
    let years = Duration::from_secs(1000 * 365 * 24 * 60 * 60);
    let (result, holder) = (record("result"), bench.caller().lease(years));
    let grant = holder.granted("a claim with a lease of a thousand years").await?;
    match bench.caller().claim("a duplicate").await? {
        ClaimAnswer::InProgress { remaining } if remaining > years / 100 => {}
        other => {
            let expected = "InProgress, with more than a decade remaining";
            return Err(failed("a duplicate", expected, other));
        }
    }
    holder.completes_for("a completion with such a ttl", grant.fence, &result, years, Standing::Held).await?;
    bench.caller().replayed("a duplicate", &result).await
}

async fn short_lease_is_neither_zero_nor_a_second(bench: Bench) -> Verdict {
    for round in 0..20 {
        let (sent, key) = (Instant::now(), format!("key {round}"));
        bench.caller_of(&key).lease(bench.short).granted("a claim with a short lease").await?;
        match bench.caller_of(&key).claim("a duplicate").await? {
            ClaimAnswer::InProgress { remaining } => {
                let right = remaining > Duration::ZERO && remaining <= bench.short + bench.margin();
                ensure(right, "a duplicate", format!("at most {:?} remaining", bench.short), remaining)?;
                bench.past_the_short().await;
                return bench.caller_of(&key).granted("a rival once it is over").await.map(drop);
            }
            // If the machine stood still for longer, the lease is over.
            _ if sent.elapsed() + bench.margin() >= bench.short => {}
            other => return Err(failed("a duplicate", "InProgress", other)),
        }
    }
    Err(Stop::Skipped)
}

async fn failure_outlives_the_lease(bench: Bench) -> Verdict {
    let holder = bench.caller().lease(bench.short);
    let grant = holder.granted("a claim with a short lease").await?;
    holder.leaves("it fails", grant.fence, Leave::Failed, Standing::Held).await?;
    bench.past_the_short().await;
    bench.caller().granted_as("the redelivery", 2, Previous::AfterFailure).await.map(drop)
}
