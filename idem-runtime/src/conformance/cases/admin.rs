//! An operator's requests. Skipped if the store has no `admin`.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use super::{Case, cases};
use crate::conformance::bench::{Bench, Caller, LONG, record};
use crate::conformance::verdict::{Verdict, answer, ensure, equal, failed, same_record, stands};
use crate::protocol::{ClaimAnswer, Grant, Leave, Previous, Standing, State};
use crate::store::admin::{Entry, Filter, Resolution};

pub(super) const CASES: &[Case] = cases! {
    "get: an operator sees the row" => operator_sees_a_key,
    "get: keys are bytes for an operator too" => operator_sees_the_key_asked_for,
    "list: by scope, in the order of key bytes" => list_is_in_the_order_of_keys,
    "list: a page ends, and the next one goes on" => list_is_paged,
    "list: by state" => list_is_filtered_by_state,
    "visit: every key that matches, once" => visit_shows_every_key_once,
    "visit: the closure that gets a key may call the store" => visit_holds_no_lock,
    "stats: each state is counted" => stats_count_each_state,
    "resolve: Executed is replayed, and the holder loses the key" => resolved_as_executed_is_replayed,
    "resolve: Executed is remembered for its ttl" => resolved_as_executed_expires,
    "resolve: another result replaces an operator's, and NotExecuted doesn't" => resolution_is_replaced,
    "resolve: a resolution can be replaced within its ttl, and the new one has a ttl of its own"
        => replaced_resolution_has_its_ttl,
    "resolve: what a handler recorded is never replaced" => handlers_record_is_not_replaced,
    "resolve: NotExecuted lets the next delivery run" => resolved_as_not_executed_runs,
    "resolve: only a key whose outcome is unknown" => only_an_orphan_is_resolved,
    "forget: the row stays, or a late copy of a claim claims for a caller that has gone"
        => forgotten_key_refuses_its_late_requests,
    "forget: whatever the state" => any_key_is_forgotten,
    "R8: fences grow after a forget" => fence_grows_over_a_forget,
};

async fn operator_sees_a_key(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    let holder = bench.caller().fingerprint(7).lease(Duration::from_secs(60));
    let absent = answer("get of an unknown key", admin.get(&bench.scope, &holder.key).await)?;
    ensure(absent.is_none(), "get of an unknown key", "None", &absent)?;

    let grant = holder.granted("the first claim").await?;
    let (entry, kept) = bench.entry("get of a running key").await?;
    let seen = (entry.row.state, entry.row.fence, entry.row.attempt, entry.row.owner, entry.row.fingerprint);
    let wanted = (State::Running, grant.fence, 1, holder.owner, holder.fingerprint);
    equal("get of a running key", seen, wanted)?;
    equal("its scope and key", (entry.scope.as_str(), &entry.key), (bench.scope.as_str(), &holder.key))?;
    let left = entry.row.until.saturating_sub(entry.now);
    ensure(left > 50_000_000 && left <= 61_000_000, "its `until`, in µs from its `now`", "about 60 s", left)?;
    equal("whether it is an orphan", entry.is_orphan(), false)?;
    equal("its record", kept, None)?;

    holder.completes("its completion", grant.fence, &record("result"), Standing::Held).await?;
    let (entry, kept) = bench.entry("get of a completed key").await?;
    equal("get of a completed key", (entry.row.state, entry.is_orphan()), (State::Done, false))?;
    let kept = kept.ok_or_else(|| failed("get of a completed key", "its record", "None"))?;
    same_record("get of a completed key", &kept, &record("result"))
}

async fn operator_sees_the_key_asked_for(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    for key in [&b"a\0"[..], b"\xff", b"A"] {
        bench.caller_of(key).granted("a claim").await?;
        let caller = bench.caller_of(key);
        let found = answer("get", admin.get(&bench.scope, &caller.key).await)?;
        equal("the key that get answers", found.map(|(entry, _)| entry.key), Some(caller.key))?;
    }
    for key in [&b"a"[..], b"\xfe", b"a\0\0"] {
        let found = answer("get", admin.get(&bench.scope, &bench.caller_of(key).key).await)?;
        ensure(found.is_none(), "get of a key like one that was claimed", "None", found)?;
    }
    Ok(())
}

/// The keys of these entries.
fn keys(entries: &[crate::store::admin::Entry]) -> Vec<Vec<u8>> {
    entries.iter().map(|entry| entry.key.as_bytes().to_vec()).collect()
}

async fn list_is_in_the_order_of_keys(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    let sorted: [&[u8]; 8] = [b"A", b"B", b"Z", b"a", b"a\0", b"aa", b"b", b"\xff"];
    for key in [7, 2, 4, 0, 6, 3, 1, 5] {
        bench.caller_of(sorted[key]).granted("a claim").await?;
    }
    bench.caller_in(&format!("{}::other", bench.scope), "a").granted("a claim in another scope").await?;
    let listed = answer("list", admin.list(Filter::all().scope(&bench.scope)).await)?;
    equal("the keys of a scope", keys(&listed), sorted.map(<[u8]>::to_vec).to_vec())
}

async fn list_is_paged(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    for number in 0..7 {
        bench.caller_of(format!("order-{number}")).granted("a claim").await?;
    }
    let filter = Filter::all().scope(&bench.scope).limit(3);
    let (mut pages, mut next) = (Vec::new(), filter.clone());
    loop {
        let page = answer("list", admin.list(next).await)?;
        let Some(last) = page.last() else { break };
        next = filter.clone().after(last);
        pages.push(keys(&page));
        ensure(pages.len() < 10, "a list in pages of 3 of 7 keys", "an end", pages.len())?;
    }
    let lengths: Vec<_> = pages.iter().map(Vec::len).collect();
    equal("the lengths of the pages of 3 of 7 keys", lengths, vec![3, 3, 1])?;
    let all: Vec<_> = (0..7).map(|number| format!("order-{number}").into_bytes()).collect();
    equal("the keys on all pages", pages.concat(), all)
}

/// Makes one key in each state. Each is named by its state.
pub(super) async fn one_of_each(bench: &Bench) -> Verdict<Vec<(Caller, Grant)>> {
    let mut claimed = Vec::new();
    for name in ["Running", "Unknown", "Kept", "Free", "Done"] {
        let caller = bench.caller_of(name);
        let grant = caller.granted("a claim").await?;
        claimed.push((caller, grant));
    }
    for (index, how) in [(1, Leave::OutcomeUnknown), (2, Leave::Keep), (3, Leave::Failed)] {
        let (caller, grant) = &claimed[index];
        caller.leaves(format!("{how:?}"), grant.fence, how, Standing::Held).await?;
    }
    let (caller, grant) = &claimed[4];
    caller.completes("a completion", grant.fence, &record("result"), Standing::Held).await?;
    Ok(claimed)
}

async fn list_is_filtered_by_state(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    one_of_each(&bench).await?;
    for state in [State::Running, State::Unknown, State::Kept, State::Free, State::Done] {
        let filter = Filter::all().scope(&bench.scope).state(state);
        let listed = answer("list", admin.list(filter).await)?;
        equal(format!("the keys in {state:?}"), keys(&listed), vec![format!("{state:?}").into_bytes()])?;
    }
    Ok(())
}

async fn visit_shows_every_key_once(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    for number in 0..7 {
        bench.caller_of(format!("order-{number}")).granted("a claim").await?;
    }
    bench.caller_in(&format!("{}::other", bench.scope), "order-7").granted("a claim in another scope").await?;
    let freed = bench.caller_of("order-3");
    equal("forget", answer("forget", admin.forget(&bench.scope, &freed.key).await)?, Standing::Held)?;
    // A filter's limit is the length of a page, and doesn't limit a visit.
    let filter = Filter::all().scope(&bench.scope).limit(3);
    let shown = visited(&bench, "visit of a scope", &filter).await?;
    equal("the keys shown of a scope", shown, (0..7).map(|number| format!("order-{number}")).collect())?;
    let shown = visited(&bench, "visit by state", &filter.state(State::Free)).await?;
    equal("the keys shown of those that are free", shown, vec!["order-3".to_owned()])
}

/// Calls the store while a visit shows a key. A call that can't be answered at once is dropped.
async fn visit_holds_no_lock(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    bench.caller_of("order-1").granted("a claim").await?;
    let asking = bench.admin()?;
    let mut see = |entry: Entry| {
        let asked = pin!(asking.get(&entry.scope, &entry.key));
        let _ = asked.poll(&mut Context::from_waker(Waker::noop()));
    };
    answer("visit", admin.visit(&Filter::all().scope(&bench.scope), &mut see).await)
}

/// The keys that a visit shows, sorted.
async fn visited(bench: &Bench, step: &str, filter: &Filter) -> Verdict<Vec<String>> {
    let (admin, mut shown) = (bench.admin()?, Vec::new());
    answer(step, admin.visit(filter, &mut |entry| shown.push(entry.key.to_string())).await)?;
    shown.sort_unstable();
    Ok(shown)
}

async fn stats_count_each_state(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    one_of_each(&bench).await?;
    let stats = answer("stats", admin.stats().await)?;
    // At least so many, because other cases have keys in the store too.
    let each = stats.running >= 2 && stats.orphaned >= 1 && stats.free >= 1 && stats.completed >= 1;
    ensure(each, "stats", "at least two running (one kept), and one of each other state", stats)
}

async fn resolve(bench: &Bench, step: &str, resolution: Resolution, wanted: Standing) -> Verdict {
    let admin = bench.admin()?;
    equal(step, answer(step, admin.resolve(&bench.scope, &bench.caller().key, resolution).await)?, wanted)
}

fn executed(ttl: Duration) -> Resolution {
    Resolution::Executed { record: record("by hand"), ttl }
}

/// Each late request of a holder that lost its key.
async fn is_shut_out(holder: &Caller, grant: Grant) -> Verdict {
    holder.renews("a renewal of whoever held it", grant.fence, Standing::Lost).await?;
    holder.completes("a completion of whoever held it", grant.fence, &record("late"), Standing::Lost).await?;
    for how in [Leave::Failed, Leave::OutcomeUnknown, Leave::Keep] {
        holder.leaves(format!("{how:?} of whoever held it"), grant.fence, how, Standing::Lost).await?;
    }
    Ok(())
}

async fn resolved_as_executed_is_replayed(bench: Bench) -> Verdict {
    for dead in [false, true] {
        bench.admin()?;
        let (holder, grant) = if dead { bench.dead().await? } else { bench.orphan().await? };
        resolve(&bench, "resolve as executed", executed(LONG), Standing::Held).await?;
        is_shut_out(&holder, grant).await?;
        bench.caller().replayed("a duplicate", &record("by hand")).await?;
        bench.caller().parking().replayed("a duplicate under park", &record("by hand")).await?;
        holder.replayed("a late copy of the holder's claim", &record("by hand")).await?;
        forget(&bench, "forget it", Standing::Held).await?;
    }
    Ok(())
}

async fn resolution_is_replaced(bench: Bench) -> Verdict {
    for dead in [false, true] {
        bench.admin()?;
        let (holder, grant) = if dead { bench.dead().await? } else { bench.orphan().await? };
        resolve(&bench, "resolve as executed", executed(LONG), Standing::Held).await?;
        let (first, _) = bench.entry("get of a resolved key").await?;
        equal("whether its record is an operator's", first.is_resolution(), true)?;
        resolve(&bench, "resolve it as not executed", Resolution::NotExecuted, Standing::Lost).await?;
        bench.caller().replayed("a duplicate after it", &record("by hand")).await?;
        for result in ["corrected", "corrected again"] {
            let resolution = Resolution::Executed { record: record(result), ttl: LONG };
            resolve(&bench, &format!("resolve it as {result}"), resolution, Standing::Held).await?;
            bench.caller().replayed("a duplicate after it", &record(result)).await?;
            is_shut_out(&holder, grant).await?;
        }
        let (last, _) = bench.entry("get of a key that was resolved three times").await?;
        let wanted = format!("above {}", first.row.fence);
        ensure(last.row.fence > first.row.fence, "the fence of the third resolution", wanted, last.row.fence)?;
        forget(&bench, "forget it", Standing::Held).await?;
    }
    Ok(())
}

async fn replaced_resolution_has_its_ttl(bench: Bench) -> Verdict {
    bench.admin()?;
    bench.orphan().await?;
    // Long enough that no pause of this process outlasts it.
    let shorter = LONG / 10;
    resolve(&bench, "resolve as executed, for a ttl", executed(shorter), Standing::Held).await?;
    resolve(&bench, "replace it, for a longer ttl", executed(LONG), Standing::Held).await?;
    let (entry, _) = bench.entry("get of the replaced resolution").await?;
    let left = Duration::from_micros(entry.row.until.saturating_sub(entry.now));
    ensure(left > shorter, "what is left of its ttl", format!("more than {shorter:?}"), left)?;
    resolve(&bench, "replace it, for a short ttl", executed(bench.short), Standing::Held).await?;
    bench.past_the_short().await;
    resolve(&bench, "replace it, the ttl being over", executed(LONG), Standing::Lost).await?;
    bench.caller().granted_first("a claim once the ttl is over").await.map(drop)
}

/// Also if an operator could have resolved the key before its handler completed it.
async fn handlers_record_is_not_replaced(bench: Bench) -> Verdict {
    bench.admin()?;
    let (late, lost) = bench.orphan().await?;
    late.completes("a late completion of the orphan", lost.fence, &record("late"), Standing::Held).await?;
    is_the_handlers(&bench, "late").await?;
    forget(&bench, "forget it", Standing::Held).await?;

    let (_, lost) = bench.orphan().await?;
    let taker = bench.caller();
    let died = Previous::AfterCrash { fence: lost.fence };
    let Grant { fence, attempt, .. } = taker.granted("a takeover").await?;
    taker.told("the takeover again", ClaimAnswer::Acquired(Grant { fence, attempt, previous: died })).await?;
    taker.completes("its completion", fence, &record("taken over"), Standing::Held).await?;
    is_the_handlers(&bench, "taken over").await?;
    forget(&bench, "forget it", Standing::Held).await?;

    bench.orphan().await?;
    resolve(&bench, "resolve as executed, for a short ttl", executed(bench.short), Standing::Held).await?;
    bench.past_the_short().await;
    bench.completed(&record("run anew")).await?;
    is_the_handlers(&bench, "run anew").await
}

/// The key is completed with this result, and no operator can say otherwise.
async fn is_the_handlers(bench: &Bench, result: &str) -> Verdict {
    for resolution in [executed(LONG), Resolution::NotExecuted] {
        resolve(bench, "resolve of a key that its handler completed", resolution, Standing::Lost).await?;
    }
    let (entry, _) = bench.entry("get of it").await?;
    equal("whether its record is an operator's", entry.is_resolution(), false)?;
    bench.caller().replayed("a duplicate of it", &record(result)).await
}

async fn resolved_as_executed_expires(bench: Bench) -> Verdict {
    bench.admin()?;
    let (holder, lost) = bench.orphan().await?;
    resolve(&bench, "resolve as executed, for a short ttl", executed(bench.short), Standing::Held).await?;
    bench.past_the_short().await;
    holder.told("a late copy of the holder's claim, the ttl being over", ClaimAnswer::Ended).await?;
    let grant = bench.caller().parking().granted_first("a claim once the ttl is over").await?;
    ensure(grant.fence > lost.fence, "its fence", format!("above {}", lost.fence), grant.fence)
}

async fn resolved_as_not_executed_runs(bench: Bench) -> Verdict {
    bench.admin()?;
    let (holder, lost) = bench.orphan().await?;
    resolve(&bench, "resolve as not executed", Resolution::NotExecuted, Standing::Held).await?;
    is_shut_out_of_a_free_key(&holder, lost).await?;
    let next = bench.caller().parking();
    let grant = next.granted_as("the redelivery under park", 2, Previous::First).await?;
    ensure(grant.fence > lost.fence, "its fence", format!("above {}", lost.fence), grant.fence)?;
    resolve(&bench, "resolve it while it runs", Resolution::NotExecuted, Standing::Lost).await?;
    next.completes("its completion", grant.fence, &record("result"), Standing::Held).await?;
    bench.caller().replayed("a duplicate", &record("result")).await
}

/// Each late request of a holder whose key an operator freed.
async fn is_shut_out_of_a_free_key(holder: &Caller, grant: Grant) -> Verdict {
    holder.told("a late copy of the claim of whoever held it", ClaimAnswer::Ended).await?;
    holder.renews("its renewal", grant.fence, Standing::Lost).await?;
    holder.completes("its completion", grant.fence, &record("late"), Standing::Lost).await?;
    for how in [Leave::Failed, Leave::OutcomeUnknown, Leave::Keep] {
        holder.leaves(format!("its {how:?}"), grant.fence, how, Standing::Lost).await?;
    }
    holder.gives_up("its NotRun").await
}

async fn only_an_orphan_is_resolved(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    let claimed = one_of_each(&bench).await?;
    for name in ["Running", "Kept", "Free", "Done", "absent"] {
        let key = bench.caller_of(name).key;
        let wanted = if name == "absent" { Standing::Gone } else { Standing::Lost };
        for resolution in [Resolution::NotExecuted, executed(LONG)] {
            let step = format!("resolve of a key that is {name}");
            stands(&step, answer(&step, admin.resolve(&bench.scope, &key, resolution).await)?, wanted)?;
        }
    }
    let (holder, grant) = &claimed[0];
    holder.renews("the holder's renewal after it", grant.fence, Standing::Held).await?;
    bench.caller_of("Done").replayed("a duplicate after it", &record("result")).await?;
    bench.caller_of("Free").granted_as("a redelivery after it", 2, Previous::AfterFailure).await?;
    bench.caller_of("absent").granted_first("a first claim after it").await.map(drop)
}

async fn forget(bench: &Bench, step: &str, wanted: Standing) -> Verdict {
    let admin = bench.admin()?;
    stands(step, answer(step, admin.forget(&bench.scope, &bench.caller().key).await)?, wanted)
}

async fn forgotten_key_refuses_its_late_requests(bench: Bench) -> Verdict {
    bench.admin()?;
    let holder = bench.caller();
    let grant = holder.granted("the first claim").await?;
    forget(&bench, "forget of a running key", Standing::Held).await?;
    is_shut_out_of_a_free_key(&holder, grant).await?;
    bench.caller().granted("the next delivery").await.map(drop)
}

async fn any_key_is_forgotten(bench: Bench) -> Verdict {
    let admin = bench.admin()?;
    for (caller, before) in one_of_each(&bench).await? {
        let (name, step) = (caller.key.to_string(), format!("forget of a key that is {}", caller.key));
        equal(&step, answer(&step, admin.forget(&bench.scope, &caller.key).await)?, Standing::Held)?;
        let next = bench.caller_of(&name).parking();
        let grant = next.granted_as(format!("a claim under park after {step}"), 2, Previous::First).await?;
        ensure(grant.fence > before.fence, "its fence", format!("above {}", before.fence), grant.fence)?;
        next.completes("its completion", grant.fence, &record("new"), Standing::Held).await?;
    }
    forget(&bench, "forget of an unknown key", Standing::Gone).await
}

async fn fence_grows_over_a_forget(bench: Bench) -> Verdict {
    bench.admin()?;
    let mut last = 0;
    for life in 1..=4 {
        let step = format!("claim {life}, the key having been forgotten in between");
        let grant = bench.caller().granted(&step).await?;
        ensure(grant.fence > last, step, format!("a fence above {last}"), grant)?;
        last = grant.fence;
        forget(&bench, "forget", Standing::Held).await?;
    }
    Ok(())
}
