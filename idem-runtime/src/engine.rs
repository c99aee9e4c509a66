//! The order of a call: claim, run, record.
//!
//! A claim goes to the store before the body runs, and the lease is renewed while it runs. Then the outcome is recorded,
//! or the key is released.
//!
//! Of the other rooms of this crate, this one may import `protocol`, `codec`, `task`, `error`, `handler` and, of `store`,
//! the traits but none of the stores (ARCHITECTURE.md, "Floors").

mod admit;
mod asked;
mod blocking;
mod call;
mod dropped;
mod heartbeat;
mod patience;
mod request;
mod unrecorded;

use std::future::Future;
use std::pin::{Pin, pin};

use self::admit::Admission;
pub use self::asked::{Asked, Asking};
use self::blocking::Spawned;
pub use self::call::Call;
use self::call::Phase;
use self::heartbeat::LeaseLost;
pub(crate) use self::request::checked_fingerprint;
use crate::codec::fingerprint::FingerprintInput;
use crate::codec::record::{self, Recorded};
use crate::error::{DecodeError, Error, ScopedKey};
use crate::handler::policy::{DecodePolicy, ErrorPolicy, NoReconcile, Reconcile, Verdict};
use crate::handler::{Event, Ops, Returned, Site, Watch};
use crate::protocol::key::KeyInput;
use crate::protocol::{Completed, Grant, Key, Leave, Previous, Record};
use crate::store::IdempotencyStore;
use crate::task::block_on::block_on;
use crate::task::sync::Instant;

/// The call of a function that has asked its store.
///
/// # Errors
///
/// The key is completed. This is what the function returns.
#[inline]
pub fn open<S: IdempotencyStore, O, V, E>(
    site: &'static Site,
    asked: Asked<S>,
    key: KeyInput,
    fingerprint: FingerprintInput,
    ops: Ops<O, V, E>,
    policies: Policies<'_, impl ErrorPolicy<E>, impl DecodePolicy<V, E>>,
) -> Result<Call<'static, S>, O> {
    match asked {
        Asked::Completed(Completed { record, .. }) => {
            let mut watch = Watch::start(site, &key);
            site.observe(Event::Replayed, key.key());
            Err(replay(site, key.key(), &mut watch, &record, ops, policies))
        }
        Asked::Claim(store) => Ok(Call::asked(site, store, key, fingerprint)),
    }
}

/// Runs an async handler.
pub fn run<S, B, O, V, E, P, C, D>(
    call: &mut Call<'_, S>,
    body: Pin<&mut B>,
    ops: Ops<O, V, E>,
    on_error: P,
    on_crash: C,
    on_decode: D,
) -> impl Future<Output = O>
where
    S: IdempotencyStore,
    B: Future<Output = O>,
    P: ErrorPolicy<E>,
    C: Reconcile<V, E>,
    D: DecodePolicy<V, E>,
{
    run_in::<false, _, _, _, _, _, _, _, _>(call, body, ops, on_error, on_crash, on_decode)
}

/// Runs a sync handler, on the calling thread.
pub fn run_blocking<S, B, O, V, E, P, D>(
    call: &mut Call<'_, S>,
    body: B,
    ops: Ops<O, V, E>,
    on_error: P,
    on_decode: D,
) -> O
where
    S: IdempotencyStore,
    B: FnOnce() -> O,
    P: ErrorPolicy<E>,
    D: DecodePolicy<V, E>,
{
    let in_place = call.is_answered_in_place();
    let mut spawned = call.over(Spawned);
    let entered = blocking::enter(call.site.scope, in_place, || {
        let body = pin!(async move { body() });
        let run = run_in::<true, _, _, _, _, _, _, _, _>(&mut spawned, body, ops, on_error, NoReconcile, on_decode);
        block_on(run)
    });
    entered.unwrap_or_else(|error| spawned.refuse(error, ops))
}

/// The order of things.
///
/// Claims the key, runs the body and records its outcome.
///
/// A variable that is held over an await is a part of every handler's future. So there are few awaits, and the
/// decisions between them are made in functions. This is an async block and not an `async fn`, because the parameters
/// of an `async fn` are stored twice.
#[expect(clippy::manual_async_fn, reason = "the future would be larger")]
fn run_in<const BLOCKING: bool, S, B, O, V, E, P, C, D>(
    call: &mut Call<'_, S>,
    mut body: Pin<&mut B>,
    ops: Ops<O, V, E>,
    on_error: P,
    on_crash: C,
    on_decode: D,
) -> impl Future<Output = O>
where
    S: IdempotencyStore,
    B: Future<Output = O>,
    P: ErrorPolicy<E>,
    C: Reconcile<V, E>,
    D: DecodePolicy<V, E>,
{
    async move {
        let admission = call.admit().await;
        let grant = match enter(call, admission, ops, &on_error, &on_decode) {
            Entry::Run(grant) => grant,
            Entry::RunUnprotected => {
                let output = body.await;
                return unprotected(call, output, ops);
            }
            Entry::Return(output) => return output,
        };
        if C::ASKS && matches!(grant.previous, Previous::AfterCrash { .. }) {
            // On the heap, because few calls ask, and in place it would enlarge each call's future.
            if let Some(output) = Box::pin(ask(call, grant, ops, on_crash)).await {
                return output;
            }
        }
        call.start_body(grant);
        let returned = if BLOCKING { call.hold_blocking(body.as_mut()).await } else { call.hold(body.as_mut()).await };
        let output = match judge(call, returned, ops, &on_error) {
            Ok(output) => output,
            Err(lost) => return call.refuse(call.lease_lost(true, lost), ops),
        };
        match call.settle().await {
            Ok(()) => ended(&mut call.watch, output, ops),
            Err(error) => call.refuse(error, ops),
        }
    }
}

/// What an admitted call does.
enum Entry<O> {
    Run(Grant),
    RunUnprotected,
    Return(O),
}

fn enter<S: IdempotencyStore, O, V, E>(
    call: &mut Call<'_, S>,
    admission: Result<Admission, Error>,
    ops: Ops<O, V, E>,
    on_error: &impl ErrorPolicy<E>,
    on_decode: &impl DecodePolicy<V, E>,
) -> Entry<O> {
    match admission {
        Ok(Admission::Granted(grant)) => {
            call.observe(Event::of(grant.previous));
            Entry::Run(grant)
        }
        Ok(Admission::Unprotected) => {
            call.observe(Event::Unprotected);
            Entry::RunUnprotected
        }
        Ok(Admission::Recorded(record)) => {
            call.observe(Event::Replayed);
            Entry::Return(replay(call.site, call.key.key(), &mut call.watch, &record, ops, (on_error, on_decode)))
        }
        Err(error) => Entry::Return(call.refuse(error, ops)),
    }
}

/// Decides how the call leaves its key after its body has returned. If the lease was lost before that, there is nothing
/// to decide.
fn judge<S: IdempotencyStore, O, V, E>(
    call: &mut Call<'_, S>,
    returned: Result<O, LeaseLost>,
    ops: Ops<O, V, E>,
    on_error: &impl ErrorPolicy<E>,
) -> Result<O, LeaseLost> {
    // The store said that this call no longer holds the key, so there is nothing to leave.
    let mut output = returned.inspect_err(|_| call.phase = Phase::Idle)?;
    (ops.recorded)(&mut output, &mut |returned| match call.hears(returned) {
        Returned::Value(encode) => call.will_record(encode, ops.decode),
        Returned::Error(error) => match on_error.judge(error) {
            Verdict::Release => call.phase = Phase::Leaving(Leave::Failed),
            Verdict::Keep => call.phase = Phase::Leaving(Leave::Keep),
            Verdict::Record => call.will_record(|| on_error.encode(error), |encoded| on_error.decode(encoded)),
        },
        Returned::Neither(leave) => call.phase = Phase::Leaving(leave),
    });
    Ok(output)
}

/// Asks the user's function what became of the call that died. `Some`: what to return. `None`: the body may run.
async fn ask<S, O, V, E, C>(call: &mut Call<'_, S>, grant: Grant, ops: Ops<O, V, E>, on_crash: C) -> Option<O>
where
    S: IdempotencyStore,
    C: Reconcile<V, E>,
{
    let claim = call.claim(grant)?;
    let found = {
        let find_out = pin!(on_crash.reconcile(claim));
        call.hold(find_out).await
    };
    match found {
        Err(lost) => {
            call.phase = Phase::Idle;
            Some(call.refuse(call.lease_lost(false, lost), ops))
        }
        Ok(Ok(Some(value))) => {
            call.will_record(|| (ops.encode)(&value), ops.decode);
            Some(match call.settle().await {
                Ok(()) => {
                    call.watch.ends("replayed");
                    (ops.replayed)(value)
                }
                Err(error) => call.refuse(error.without_execution(), ops),
            })
        }
        Ok(Ok(None)) if Instant::now() < call.deadline() => None,
        Ok(Ok(None)) => {
            call.phase = Phase::Leaving(Leave::NotRun);
            // The result is ignored: if the store fails, the guard of the call goes on trying.
            let _ = call.settle().await;
            Some(call.refuse(call.lease_lost(false, LeaseLost { row_gone: false }), ops))
        }
        Ok(Err(error)) => {
            call.phase = Phase::Leaving(Leave::NotRun);
            let _ = call.settle().await;
            call.watch.ends("failed");
            Some((ops.failed)(error))
        }
    }
}

/// What `on_error` and `on_decode` say.
pub(crate) type Policies<'p, P, D> = (&'p P, &'p D);

/// Turns a record into what the handler returns.
pub(crate) fn replay<O, V, E>(
    site: &'static Site,
    key: Option<&Key>,
    watch: &mut Watch,
    record: &Record,
    ops: Ops<O, V, E>,
    (on_error, on_decode): Policies<'_, impl ErrorPolicy<E>, impl DecodePolicy<V, E>>,
) -> O {
    let decoded = match record::read(record) {
        Ok(Recorded::Value(value)) => (ops.decode)(value).map(|value| Some((ops.replayed)(value))),
        Ok(Recorded::Error(error)) => {
            let decoded = on_error.decode(error).map_err(DecodeError::of_error);
            decoded.map(|error| Some((ops.failed)(error)))
        }
        Ok(Recorded::Unavailable) => Ok(None),
        Err(error) => Err(error),
    };
    if let Ok(Some(_)) = decoded {
        watch.ends("replayed");
    }
    let scope = site.scope;
    let refusal = match (decoded, key) {
        (Ok(Some(output)), _) => return output,
        (Ok(None), Some(key)) => Error::ResultUnavailable { key: ScopedKey::new(scope, key) },
        (Err(source), Some(key)) => match on_decode.answer(&source) {
            Some(answer) => {
                site.observe(Event::Unreadable, Some(key));
                watch.ends("replayed");
                return answer.map_or_else(ops.failed, ops.replayed);
            }
            None => Error::Decode { key: ScopedKey::new(scope, key), source },
        },
        // Not reached: a call without a key has no record.
        _ => site.missing_key(None),
    };
    refuse(site, key, watch, refusal, ops)
}

#[cold]
pub(crate) fn refuse<O, V, E>(
    site: &'static Site,
    key: Option<&Key>,
    watch: &mut Watch,
    error: Error,
    ops: Ops<O, V, E>,
) -> O {
    site.observe_refusal(&error, key);
    watch.ends(error.name());
    (ops.refused)(error)
}

/// What the handler returns after its body.
pub(crate) fn ended<O, V, E>(watch: &mut Watch, output: O, ops: Ops<O, V, E>) -> O {
    watch.settled();
    (ops.own)(output)
}

/// The same for a call that ran without protection.
fn unprotected<S: IdempotencyStore, O, V, E>(call: &mut Call<'_, S>, mut output: O, ops: Ops<O, V, E>) -> O {
    (ops.recorded)(&mut output, &mut |returned| {
        call.hears(returned);
    });
    ended(&mut call.watch, output, ops)
}
