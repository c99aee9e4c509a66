//! Which rows a sweep deletes, and which not. Skipped if the store has no `admin`.

use std::time::Duration;

use super::admin::one_of_each;
use super::{Case, cases};
use crate::conformance::bench::{Bench, Caller, record};
use crate::conformance::verdict::{Verdict, answer, ensure, equal, failed};
use crate::protocol::{ClaimAnswer, CompleteRequest, Leave, Previous, Record, ReleaseRequest, Standing};
use crate::store::IdempotencyStore as _;
use crate::task::timer;

pub(super) const CASES: &[Case] = cases! {
    "R17: a sweep deletes rows that nobody needs" => sweep_deletes_what_is_over,
    "R8: fences grow after a sweep" => fence_grows_over_a_sweep,
    "R9: a late completion finds no row, and creates none" => completion_of_a_swept_key_is_lost,
    "a sweep keeps rows that somebody needs" => sweep_leaves_live_rows,
    "park: a sweep keeps orphans, which would else run again" => sweep_leaves_parked_orphans,
    "R9: a sweep keeps a row for as long as a late request can arrive" => sweep_leaves_rows_within_their_linger,
    "fault: a sweep in one huge DELETE" => sweep_is_bounded,
};

/// Sweeps until the key is gone.
async fn swept_away(bench: &Bench, caller: &Caller) -> Verdict {
    let admin = bench.admin()?;
    for _ in 0..50 {
        answer("sweep", admin.sweep(10_000).await)?;
        if answer("get", admin.get(&caller.scope, &caller.key).await)?.is_none() {
            return Ok(());
        }
        timer::sleep(bench.margin()).await;
    }
    let kept = bench.entry("get").await?;
    Err(failed("get of a key that nobody needs, after sweeps", "None", kept))
}

/// Completes with a ttl of a millisecond, after which the row can be swept at once.
async fn completes_briefly(caller: &Caller, fence: u64, result: &Record) -> Verdict {
    let claim = caller.request();
    let mut request = CompleteRequest::new(&claim, fence, result, Duration::from_millis(1));
    request.linger = Duration::ZERO;
    equal("a completion for 1 ms", answer("it", caller.store.complete(request).await)?, Standing::Held)
}

async fn sweep_deletes_what_is_over(bench: Bench) -> Verdict {
    bench.admin()?;
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    completes_briefly(&holder, grant.fence, &record("x")).await?;
    swept_away(&bench, &holder).await?;

    let failing = bench.caller();
    let grant = failing.granted_first("a claim of the swept key").await?;
    let claim = failing.request();
    let mut request = ReleaseRequest::new(&claim, grant.fence, Leave::Failed);
    (request.retain, request.linger) = (Duration::ZERO, Duration::ZERO);
    equal("it fails", answer("it fails", failing.store.release(request).await)?, Standing::Held)?;
    swept_away(&bench, &failing).await?;
    bench.caller().granted_first("a claim of the key that was swept again").await.map(drop)
}

async fn fence_grows_over_a_sweep(bench: Bench) -> Verdict {
    bench.admin()?;
    let mut last = 0;
    for life in 1..=3 {
        let holder = bench.caller();
        let step = format!("claim {life}, the row having been swept in between");
        let grant = holder.granted_first(&step).await?;
        ensure(grant.fence > last, step, format!("a fence above {last}"), grant)?;
        last = grant.fence;
        completes_briefly(&holder, grant.fence, &record("x")).await?;
        swept_away(&bench, &holder).await?;
    }
    Ok(())
}

async fn completion_of_a_swept_key_is_lost(bench: Bench) -> Verdict {
    bench.admin()?;
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    completes_briefly(&holder, grant.fence, &record("x")).await?;
    swept_away(&bench, &holder).await?;
    holder.completes("a late copy of the completion", grant.fence, &record("x"), Standing::Gone).await?;
    bench.caller().granted_first("a claim after it").await.map(drop)
}

async fn sweep_leaves_live_rows(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    let claimed = one_of_each(&bench).await?;
    answer("sweep", admin.sweep(10_000).await)?;
    let (holder, grant) = &claimed[0];
    holder.renews("the holder's renewal", grant.fence, Standing::Held).await?;
    bench.caller_of("Unknown").parking().told("a claim of an orphan under park", ClaimAnswer::Orphaned).await?;
    bench.caller_of("Kept").held_off("a claim of a kept key").await?;
    bench.caller_of("Done").replayed("a duplicate of a completed key", &record("result")).await?;
    bench.caller_of("Free").granted_as("a claim of a failed key", 2, Previous::AfterFailure).await.map(drop)
}

async fn sweep_leaves_parked_orphans(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    for name in ["dead", "unknown", "kept"] {
        let holder = bench.caller_of(name).lease(bench.short).parking();
        let grant = holder.granted("a claim under park").await?;
        match name {
            "unknown" => holder.leaves("it panics", grant.fence, Leave::OutcomeUnknown, Standing::Held).await?,
            "kept" => holder.leaves("it keeps", grant.fence, Leave::Keep, Standing::Held).await?,
            _ => {}
        }
    }
    bench.past_the_short().await;
    for _ in 0..3 {
        answer("sweep", admin.sweep(10_000).await)?;
    }
    for name in ["dead", "unknown", "kept"] {
        let step = format!("a claim under park of a key that is {name}, after a sweep");
        bench.caller_of(name).parking().told(step, ClaimAnswer::Orphaned).await?;
    }
    Ok(())
}

async fn sweep_leaves_rows_within_their_linger(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    let ttl = Duration::from_millis(1);
    holder.completes_for("a completion for 1 ms", grant.fence, &record("x"), ttl, Standing::Held).await?;
    let other = bench.caller_of("not run");
    other.gives_up("a call gives up before its claim").await?;
    timer::sleep(bench.margin()).await;
    answer("sweep", admin.sweep(10_000).await)?;
    holder.completes("a late copy of the completion", grant.fence, &record("x"), Standing::Held).await?;
    other.told("the late claim of the call that gave up", ClaimAnswer::Ended).await
}

async fn sweep_is_bounded(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    for number in 0..5 {
        let holder = bench.caller_of(format!("order-{number}"));
        let grant = holder.granted("a claim").await?;
        completes_briefly(&holder, grant.fence, &record("x")).await?;
    }
    timer::sleep(bench.margin()).await;
    let swept = answer("sweep", admin.sweep(2).await)?;
    ensure(swept <= 2, "a sweep of at most 2 rows", "2 at most", swept)
}
