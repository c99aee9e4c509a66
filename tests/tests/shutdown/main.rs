//! R27: `drain` at the end of a process, and the requests that the library still sends when their callers have gone.

mod blocking;
mod drain;
mod late;
mod sigterm;

use std::time::Duration;

use idem_runtime::{Claim, Error, IdempotencyStore, Outcome, Previous, idempotent};
use idem_tests::Gate;
use idem_tests::probe::{Asked, Probe};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, MutexGuard};

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets one test run at a time, as `drain` counts for the whole process.
async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    assert_eq!(idem_runtime::drain(PATIENCE).await, 0, "the test before has left something");
    turn
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn threads(most: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(most).enable_all().build().unwrap()
}

/// The result of the handlers: how the call before ended.
fn turn_of(claim: &Claim) -> String {
    match claim.previous() {
        Previous::First => "first".to_owned(),
        Previous::AfterFailure => "after a failure".to_owned(),
        Previous::AfterCrash { .. } => "after a crash".to_owned(),
    }
}

#[idempotent(key = "id", scope = "shutdown/brief", store = store, lease = "3s", claim = claim)]
async fn brief<S: IdempotencyStore>(store: &S, id: u32, gate: Gate) -> Result<Outcome<String>, Error> {
    gate.pass().await;
    Ok(turn_of(claim).into())
}

#[idempotent(key = "id", scope = "shutdown/long", store = store, lease = "1h", claim = claim)]
async fn long<S: IdempotencyStore>(store: &S, id: u32, gate: Gate) -> Result<Outcome<String>, Error> {
    gate.pass().await;
    Ok(turn_of(claim).into())
}

/// Starts a call, and drops it in its body.
async fn cancelled(store: &Probe, id: u32) {
    let gate = Gate::default();
    let mut call = Box::pin(long(store, id, gate.clone()));
    tokio::select! {
        ended = &mut call => panic!("nobody opened the gate: {ended:?}"),
        () = gate.started() => {}
    }
}

const UNKNOWN: Asked = Asked::Release(idem_runtime::store::Leave::OutcomeUnknown);
