//! Concurrent requests. Each caller runs on a thread of its own.

use std::sync::Arc;

use super::{Case, cases};
use crate::conformance::bench::{Bench, Caller, LONG, record};
use crate::conformance::run::{Job, race};
use crate::conformance::verdict::{Stop, Verdict, answer, ensure, equal};
use crate::protocol::{
    ClaimAnswer, CompleteRequest, Grant, Leave, Previous, Record, ReleaseRequest, RenewRequest, Standing,
};
use crate::store::IdempotencyStore as _;

pub(super) const CASES: &[Case] = cases! {
    "R2, fault: a store that first reads and then writes grants a key twice" => of_racers_for_a_free_key_one_wins,
    "R2, fault: two calls take over one orphan" => of_racers_for_an_orphan_one_takes_over,
    "R2, fault: two calls take over a key whose holder died" => of_racers_for_a_dead_key_one_takes_over,
    "R2: of racers for a failed key, one wins" => of_racers_for_a_failed_key_one_wins,
    "R2: of racers for an expired key, one wins" => of_racers_for_an_expired_key_one_wins,
    "fault: the loser of a race learns neither that the key runs nor its result"
        => losers_of_a_race_are_replayed_what_the_winner_did,
    "R7: of a late completion and a takeover, one wins" => completion_races_a_takeover,
    "R7: of a late failure and a takeover, one wins" => failure_races_a_takeover,
    "R7: of a late renewal and a takeover, one wins" => renewal_races_a_takeover,
    "R9: a concurrent repeat of a completion is Held too" => repeats_of_a_completion_are_all_held,
    "R9: concurrent copies of a claim are granted the same" => copies_of_a_claim_are_granted_the_same,
    "R9: NotRun and its own claim, in any order, leave a free key" => not_run_races_its_claim,
    "two keys don't wait for each other" => different_keys_run_side_by_side,
};

const RACERS: usize = 32;
const ROUNDS: usize = 6;

fn job<T>(future: impl Future<Output = T> + Send + 'static) -> Job<'static, T> {
    Box::pin(future)
}

/// The answers to many callers that claim this key at the same time.
async fn claims(bench: &Bench, key: &str) -> Verdict<Vec<(Caller, ClaimAnswer)>> {
    let racers = (0..RACERS).map(|_| {
        let caller = bench.caller_of(key);
        job(async move {
            let answer = caller.claim("a racer's claim").await?;
            Ok((caller, answer))
        })
    });
    race(racers.collect()).await?.into_iter().collect()
}

/// Lets many callers claim this key at the same time, and returns the only one that was granted it.
async fn one_wins(bench: &Bench, key: &str) -> Verdict<(Caller, Grant)> {
    let step = format!("{RACERS} claims of one key at once");
    let answers = claims(bench, key).await?;
    let told: Vec<_> = answers.iter().map(|(_, answer)| answer.clone()).collect();
    let sound = |answer: &ClaimAnswer| matches!(answer, ClaimAnswer::Acquired(_) | ClaimAnswer::InProgress { .. });
    let odd: Vec<_> = told.iter().filter(|answer| !sound(answer)).collect();
    ensure(odd.is_empty(), &step, "Acquired or InProgress", odd)?;
    let mut winners = Vec::new();
    for (caller, answer) in answers {
        if let ClaimAnswer::Acquired(grant) = answer {
            winners.push((caller, grant));
        }
    }
    let granted: Vec<_> = winners.iter().map(|(_, grant)| *grant).collect();
    ensure(granted.len() == 1, &step, "one Acquired", granted)?;
    let (winner, grant) = winners.remove(0);
    winner.renews("the winner's renewal", grant.fence, Standing::Held).await?;
    Ok((winner, grant))
}

async fn of_racers_for_a_free_key_one_wins(bench: Bench) -> Verdict {
    for round in 0..ROUNDS {
        let (_, grant) = one_wins(&bench, &format!("free {round}")).await?;
        equal("the winner's grant", (grant.attempt, grant.previous), (1, Previous::First))?;
    }
    Ok(())
}

async fn of_racers_for_an_orphan_one_takes_over(bench: Bench) -> Verdict {
    for round in 0..ROUNDS {
        let key = format!("orphan {round}");
        let holder = bench.caller_of(&key);
        let lost = holder.granted("the first claim").await?;
        holder.leaves("the holder panics", lost.fence, Leave::OutcomeUnknown, Standing::Held).await?;
        let (_, grant) = one_wins(&bench, &key).await?;
        let wanted = (2, Previous::AfterCrash { fence: lost.fence });
        equal("the winner's grant", (grant.attempt, grant.previous), wanted)?;
    }
    Ok(())
}

/// Makes keys whose holders didn't renew until their leases were over.
async fn dead_keys(bench: &Bench, rounds: usize) -> Verdict<Vec<(Caller, Grant)>> {
    let mut dead = Vec::new();
    for round in 0..rounds {
        let holder = bench.caller_of(format!("dead {round}")).lease(bench.short);
        let grant = holder.granted("the first claim").await?;
        dead.push((holder, grant));
    }
    bench.past_the_short().await;
    Ok(dead)
}

async fn of_racers_for_a_dead_key_one_takes_over(bench: Bench) -> Verdict {
    for (round, (_, lost)) in dead_keys(&bench, ROUNDS).await?.into_iter().enumerate() {
        let (_, grant) = one_wins(&bench, &format!("dead {round}")).await?;
        let wanted = (2, Previous::AfterCrash { fence: lost.fence });
        equal("the winner's grant", (grant.attempt, grant.previous), wanted)?;
    }
    Ok(())
}

async fn of_racers_for_a_failed_key_one_wins(bench: Bench) -> Verdict {
    for round in 0..ROUNDS {
        let key = format!("failed {round}");
        let failing = bench.caller_of(&key);
        let grant = failing.granted("the first claim").await?;
        failing.leaves("it fails", grant.fence, Leave::Failed, Standing::Held).await?;
        let (_, grant) = one_wins(&bench, &key).await?;
        equal("the winner's grant", (grant.attempt, grant.previous), (2, Previous::AfterFailure))?;
    }
    Ok(())
}

async fn of_racers_for_an_expired_key_one_wins(bench: Bench) -> Verdict {
    for round in 0..ROUNDS {
        let holder = bench.caller_of(format!("expired {round}"));
        let grant = holder.granted("the first claim").await?;
        holder.completes_for("its completion", grant.fence, &record("x"), bench.short, Standing::Held).await?;
    }
    bench.past_the_short().await;
    for round in 0..ROUNDS {
        let (_, grant) = one_wins(&bench, &format!("expired {round}")).await?;
        equal("the winner's grant", (grant.attempt, grant.previous), (1, Previous::First))?;
    }
    Ok(())
}

async fn losers_of_a_race_are_replayed_what_the_winner_did(bench: Bench) -> Verdict {
    for round in 0..ROUNDS {
        let key = format!("race {round}");
        let runs = (0..RACERS).map(|_| {
            let caller = bench.caller_of(&key);
            job(async move {
                let answer = caller.claim("a racer's claim").await?;
                if let ClaimAnswer::Acquired(grant) = answer {
                    let result = Record::from_bytes(&caller.owner.0);
                    caller.completes("the winner's completion", grant.fence, &result, Standing::Held).await?;
                    return Ok((Some(result), answer));
                }
                Ok((None, answer))
            })
        });
        let told: Vec<_> = race(runs.collect()).await?.into_iter().collect::<Verdict<_>>()?;
        let results: Vec<_> = told.iter().filter_map(|(result, _)| result.clone()).collect();
        ensure(results.len() == 1, "claims that meet a claim and a completion", "one Acquired", &results)?;
        for (_, answer) in &told {
            let sound = match answer {
                ClaimAnswer::Completed(found) => *found == results[0],
                other => matches!(other, ClaimAnswer::Acquired(_) | ClaimAnswer::InProgress { .. }),
            };
            ensure(sound, "claims that meet a claim and a completion", "InProgress, or the winner's result", answer)?;
        }
        bench.caller_of(&key).replayed("a duplicate after the race", &results[0]).await?;
    }
    Ok(())
}

/// The answers to a late request of the old holder and to a claim at the same time.
async fn meet(
    late: impl Future<Output = Verdict<Standing>> + Send + 'static,
    taker: &Caller,
) -> Verdict<(Standing, ClaimAnswer)> {
    let (late, claim) = {
        let taker = taker.clone();
        let late = job(async move { Ok((Some(late.await?), None)) });
        let claim = job(async move { Ok((None, Some(taker.claim("a claim that meets it").await?))) });
        (late, claim)
    };
    let mut told = race(vec![late, claim]).await?.into_iter();
    match (told.next().transpose()?, told.next().transpose()?) {
        (Some((Some(standing), _)), Some((_, Some(answer)))) => Ok((standing, answer)),
        // `race` returns as many outputs as it was given futures.
        _ => Err(Stop::Skipped),
    }
}

async fn completion_races_a_takeover(bench: Bench) -> Verdict {
    let result = record("result");
    for (round, (holder, grant)) in dead_keys(&bench, 4 * ROUNDS).await?.into_iter().enumerate() {
        let taker = bench.caller_of(format!("dead {round}"));
        let (zombie, recorded) = (holder.clone(), result.clone());
        let complete = async move {
            let claim = zombie.request();
            let request = CompleteRequest::new(&claim, grant.fence, &recorded, LONG);
            answer("a late completion", zombie.store.complete(request).await)
        };
        match meet(complete, &taker).await? {
            (Standing::Held, ClaimAnswer::Completed(found)) if found == result => {
                taker.replayed("a duplicate after it", &result).await?;
            }
            (Standing::Lost, ClaimAnswer::Acquired(taken)) => {
                taker.completes("the taker's completion", taken.fence, &record("taker"), Standing::Held).await?;
            }
            other => {
                let expected = "Held and Completed, or Lost and Acquired";
                return ensure(false, "a late completion that meets a takeover", expected, other);
            }
        }
    }
    Ok(())
}

async fn failure_races_a_takeover(bench: Bench) -> Verdict {
    for (round, (holder, grant)) in dead_keys(&bench, 4 * ROUNDS).await?.into_iter().enumerate() {
        let taker = bench.caller_of(format!("dead {round}"));
        let zombie = holder.clone();
        let fail = async move {
            let claim = zombie.request();
            let request = ReleaseRequest::new(&claim, grant.fence, Leave::Failed);
            answer("a late failure", zombie.store.release(request).await)
        };
        let step = "a late failure that meets a takeover";
        let (standing, told) = meet(fail, &taker).await?;
        let ClaimAnswer::Acquired(taken) = told else { return ensure(false, step, "Acquired", told) };
        let right = match standing {
            Standing::Held => taken.previous == Previous::AfterFailure,
            Standing::Lost => taken.previous == Previous::AfterCrash { fence: grant.fence },
            Standing::Gone => false,
        };
        ensure(right, step, "Held and AfterFailure, or Lost and AfterCrash", (standing, taken))?;
        taker.renews("the taker's renewal", taken.fence, Standing::Held).await?;
    }
    Ok(())
}

async fn renewal_races_a_takeover(bench: Bench) -> Verdict {
    for (round, (holder, grant)) in dead_keys(&bench, 4 * ROUNDS).await?.into_iter().enumerate() {
        let taker = bench.caller_of(format!("dead {round}"));
        let zombie = holder.clone().lease(LONG);
        let renew = async move {
            let claim = zombie.request();
            answer("a late renewal", zombie.store.renew(RenewRequest::new(&claim, grant.fence)).await)
        };
        match meet(renew, &taker).await? {
            (Standing::Held, ClaimAnswer::InProgress { .. }) => {
                holder.completes("the holder's completion", grant.fence, &record("x"), Standing::Held).await?;
            }
            (Standing::Lost, ClaimAnswer::Acquired(taken)) => {
                holder.completes("the zombie's completion", grant.fence, &record("x"), Standing::Lost).await?;
                taker.completes("the taker's completion", taken.fence, &record("y"), Standing::Held).await?;
            }
            other => {
                let expected = "Held and InProgress, or Lost and Acquired";
                return ensure(false, "a late renewal that meets a takeover", expected, other);
            }
        }
    }
    Ok(())
}

async fn repeats_of_a_completion_are_all_held(bench: Bench) -> Verdict {
    let result = Arc::new(record("result"));
    for round in 0..ROUNDS {
        let holder = bench.caller_of(format!("key {round}"));
        let grant = holder.granted("the first claim").await?;
        let copies = (0..8).map(|_| {
            let (copy, result) = (Caller { store: bench.handle(), ..holder.clone() }, Arc::clone(&result));
            job(async move {
                copy.completes("copies of one completion at once", grant.fence, &result, Standing::Held).await
            })
        });
        race(copies.collect()).await?.into_iter().collect::<Verdict>()?;
        bench.caller_of(format!("key {round}")).replayed("a duplicate", &result).await?;
    }
    Ok(())
}

async fn copies_of_a_claim_are_granted_the_same(bench: Bench) -> Verdict {
    for round in 0..ROUNDS {
        let caller = bench.caller_of(format!("key {round}"));
        let copies = (0..8).map(|_| {
            let copy = Caller { store: bench.handle(), ..caller.clone() };
            job(async move { copy.granted("copies of one claim at once").await })
        });
        let grants: Vec<_> = race(copies.collect()).await?.into_iter().collect::<Verdict<_>>()?;
        let same = grants.iter().all(|grant| *grant == grants[0]);
        ensure(same, "copies of one claim at once", "the same grant", grants)?;
    }
    Ok(())
}

async fn not_run_races_its_claim(bench: Bench) -> Verdict {
    for round in 0..4 * ROUNDS {
        let key = format!("key {round}");
        let caller = bench.caller_of(&key);
        let leaving = Caller { store: bench.handle(), ..caller.clone() };
        let leave = async move {
            let claim = leaving.request();
            let request = ReleaseRequest::new(&claim, 0, Leave::NotRun);
            answer("NotRun", leaving.store.release(request).await)
        };
        let step = "a claim that meets its own NotRun";
        let (standing, told) = meet(leave, &caller).await?;
        equal(step, standing, Standing::Held)?;
        let sound = matches!(told, ClaimAnswer::Acquired(_) | ClaimAnswer::Ended);
        ensure(sound, step, "Acquired or Ended", told)?;
        bench.caller_of(&key).granted_first("another call's claim after both").await?;
    }
    Ok(())
}

async fn different_keys_run_side_by_side(bench: Bench) -> Verdict {
    let workers = (0..RACERS).map(|worker| {
        let callers: Vec<_> = (0..8).map(|key| bench.caller_of(format!("{worker}/{key}"))).collect();
        job(async move {
            for caller in callers {
                let grant = caller.granted_first("a claim beside claims of other keys").await?;
                let result = Record::from_bytes(&caller.owner.0);
                caller.completes("its completion", grant.fence, &result, Standing::Held).await?;
                caller.replayed("a duplicate", &result).await?;
            }
            Ok(())
        })
    });
    race(workers.collect()).await?.into_iter().collect()
}
