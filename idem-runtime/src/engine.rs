//! Claim, run, record: the only place that knows the order.

mod admit;
mod call;

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Instant;

use self::admit::Admission;
pub use self::call::Call;
use self::call::Phase;
use crate::blocking::{self, Spawned};
use crate::claim::{Grant, Leave, Previous, Record};
use crate::error::Error;
use crate::key::KeyInput;
use crate::observe::{Event, Timed};
use crate::policy::{ErrorPolicy, Reconcile, Verdict};
use crate::private::Ops;
use crate::record::{self, Recorded};
use crate::store::IdempotencyStore;

/// Runs an async handler.
pub async fn run<S, B, O, V, E, P, C>(
    call: &mut Call<'_, S>,
    body: Pin<&mut B>,
    ops: Ops<O, V, E>,
    on_error: P,
    on_crash: C,
) -> O
where
    S: IdempotencyStore,
    B: Future<Output = O>,
    P: ErrorPolicy<E>,
    C: Reconcile<V, E>,
{
    run_in::<false, _, _, _, _, _, _, _>(call, body, ops, on_error, on_crash).await
}

/// Runs a sync handler, on the calling thread.
pub fn run_blocking<S, B, O, V, E, P>(call: &mut Call<'_, S>, body: B, ops: Ops<O, V, E>, on_error: P) -> O
where
    S: IdempotencyStore,
    B: FnOnce() -> O,
    P: ErrorPolicy<E>,
{
    let scope = call.site.scope;
    let mut call = call.over(Spawned);
    let entered = blocking::enter(scope, || {
        let body = pin!(async move { body() });
        let on_crash = crate::policy::NoReconcile;
        blocking::block_on(run_in::<true, _, _, _, _, _, _, _>(&mut call, body, ops, on_error, on_crash))
    });
    entered.unwrap_or_else(ops.refused)
}

async fn run_in<const BLOCKING: bool, S, B, O, V, E, P, C>(
    call: &mut Call<'_, S>,
    mut body: Pin<&mut B>,
    ops: Ops<O, V, E>,
    on_error: P,
    on_crash: C,
) -> O
where
    S: IdempotencyStore,
    B: Future<Output = O>,
    P: ErrorPolicy<E>,
    C: Reconcile<V, E>,
{
    let grant = match call.admit().await {
        Ok(Admission::Granted(grant)) => grant,
        Ok(Admission::Unprotected) => {
            call.site.observe(Event::Unprotected);
            return body.await;
        }
        Ok(Admission::Recorded(record)) => {
            call.site.observe(Event::Replayed);
            return replay(call, &record, ops, &on_error);
        }
        Err(error) => return refuse(call, error, ops),
    };
    call.site.observe(Event::of(grant.previous));

    if C::ASKS && matches!(grant.previous, Previous::AfterCrash { .. }) {
        match ask(call, grant, &on_crash).await {
            Ok(Found::Nothing) => {}
            Ok(Found::Result(value)) => {
                let record = (ops.encode)(&value);
                return match call.complete(record).await {
                    Ok(()) => (ops.replayed)(value),
                    Err(error) => refuse(call, error.without_execution(), ops),
                };
            }
            Ok(Found::Failure(error)) => return (ops.failed)(error),
            Err(error) => return refuse(call, error, ops),
        }
    }

    if let Some(slot) = call.slot
        && let Some(claim) = call.claim(grant)
    {
        slot.set(claim);
    }
    call.phase = Phase::Running;
    let timed = Timed::handler(call.site);
    let output = if BLOCKING { call.hold_blocking(body.as_mut()).await } else { call.hold(body.as_mut()).await };
    timed.record();
    let Some(output) = output else {
        // The store said that the key is another's: there is nothing to leave.
        call.phase = Phase::Idle;
        return refuse(call, call.lease_lost(true), ops);
    };
    match (ops.into_result)(output) {
        Ok(value) => {
            // Whatever the encoding does, and be it a panic: the body has returned, and the key is completed.
            call.phase = Phase::Completing(record::unavailable());
            let record = (ops.encode)(&value);
            match call.complete(record).await {
                Ok(()) => (ops.executed)(value),
                Err(error) => refuse(call, error, ops),
            }
        }
        Err(error) => {
            match on_error.judge(&error) {
                Verdict::Release => call.leave(Leave::Failed).await,
                Verdict::Keep => call.leave(Leave::Keep).await,
                Verdict::Record => {
                    call.phase = Phase::Completing(record::unavailable());
                    let record = on_error.encode(&error);
                    if let Err(error) = call.complete(record).await {
                        return refuse(call, error, ops);
                    }
                }
            }
            (ops.failed)(error)
        }
    }
}

fn refuse<S: IdempotencyStore, O, V, E>(call: &Call<'_, S>, error: Error, ops: Ops<O, V, E>) -> O {
    call.site.observe_refusal(&error);
    (ops.refused)(error)
}

/// What the user's function says of the call that died.
enum Found<V, E> {
    /// Its effect took place, with this result.
    Result(V),
    /// Its effect did not take place.
    Nothing,
    /// It can't say.
    Failure(E),
}

/// Asks what became of the call that died, before the body may run.
async fn ask<S, V, E, C>(call: &mut Call<'_, S>, grant: Grant, on_crash: &C) -> Result<Found<V, E>, Error>
where
    S: IdempotencyStore,
    C: Reconcile<V, E>,
{
    let Some(claim) = call.claim(grant) else { return Err(call.lease_lost(false)) };
    let found = {
        let find_out = pin!(on_crash.reconcile(&claim));
        call.hold(find_out).await
    };
    match found {
        None => {
            call.phase = Phase::Idle;
            Err(call.lease_lost(false))
        }
        Some(Ok(Some(value))) => Ok(Found::Result(value)),
        Some(Ok(None)) if Instant::now() < call.deadline => Ok(Found::Nothing),
        Some(Ok(None)) => {
            call.leave(Leave::NotRun).await;
            Err(call.lease_lost(false))
        }
        Some(Err(error)) => {
            call.leave(Leave::NotRun).await;
            Ok(Found::Failure(error))
        }
    }
}

/// What was recorded, as the handler would have returned it.
fn replay<S: IdempotencyStore, O, V, E>(
    call: &Call<'_, S>,
    record: &Record,
    ops: Ops<O, V, E>,
    on_error: &impl ErrorPolicy<E>,
) -> O {
    let decoded = match record::read(record) {
        Ok(Recorded::Value(value)) => (ops.decode)(value).map(|value| Some((ops.replayed)(value))),
        Ok(Recorded::Error(error)) => on_error.decode(error).map(|error| Some((ops.failed)(error))),
        Ok(Recorded::Unavailable) => Ok(None),
        Err(error) => Err(error),
    };
    let refusal = match (decoded, &call.key) {
        (Ok(Some(output)), _) => return output,
        (Ok(None), KeyInput::Key(key)) => Error::ResultUnavailable { key: call.scoped(key) },
        (Err(source), KeyInput::Key(key)) => Error::Decode { key: call.scoped(key), source },
        // A call without a key has nothing to replay.
        _ => Error::MissingKey { scope: call.site.scope },
    };
    refuse(call, refusal, ops)
}
