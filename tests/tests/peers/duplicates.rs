//! A duplicate is told what became of its key. It never gets a plain `Ok` for work that was not done. apalis-sqlite answers `Ok` to
//! the push of a task whose key has failed for good, and stores nothing; bullmq ignores such a job, and answers with its data.

use std::time::Duration;

use idem_runtime::admin::Resolution;
use idem_runtime::consumer::{Disposition, Refusal, disposition};
use idem_runtime::store::Key;
use idem_runtime::{AnyStore, Error, Outcome, idempotent};
use idem_tests::Gate;
use serde::{Deserialize, Serialize};

use crate::on_every_store;

const SCOPE: &str = "peers::told";
const PATIENCE: Duration = Duration::from_secs(30);

/// What a body does.
enum Body<'g> {
    Gives(u64),
    /// Returns a value whose serialization fails.
    GivesUnencodable(u64),
    Declines,
    Fails,
    Waits(&'g Gate),
}

/// A result. The amount tells whose result it is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Charged {
    cents: u64,
    #[serde(skip)]
    unencodable: bool,
}

impl Charged {
    fn of(cents: u64) -> Self {
        Self { cents, unencodable: false }
    }
}

impl Serialize for Charged {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Plain {
            cents: u64,
        }
        if self.unencodable {
            return Err(serde::ser::Error::custom("no"));
        }
        Plain { cents: self.cents }.serialize(serializer)
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum ChargeError {
    /// A final failure, which is recorded.
    Declined,
    /// A passing failure, which frees the key.
    Failed,
    #[serde(skip)]
    Refused(Error),
}

impl From<Error> for ChargeError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Refusal for ChargeError {
    fn refusal(&self) -> Option<&Error> {
        if let Self::Refused(error) = self { Some(error) } else { None }
    }

    fn is_final(&self) -> bool {
        matches!(self, Self::Declined)
    }
}

type Told = Result<Outcome<Charged>, ChargeError>;

#[idempotent(
    key = "id",
    scope = "peers::told",
    store = store,
    fingerprint = "order",
    on_crash = "park",
    on_error = record_if(Refusal::is_final),
)]
async fn charge(store: &AnyStore, id: &str, order: u64, body: Body<'_>) -> Told {
    match body {
        Body::Gives(cents) => Ok(Charged::of(cents).into()),
        Body::GivesUnencodable(cents) => Ok(Charged { cents, unencodable: true }.into()),
        Body::Declines => Err(ChargeError::Declined),
        Body::Fails => Err(ChargeError::Failed),
        Body::Waits(gate) => {
            gate.pass().await;
            Ok(Charged::of(1).into())
        }
    }
}

/// Calls with the same key. Its own body would return another result.
async fn duplicate(store: &AnyStore, id: &str) -> Told {
    charge(store, id, 1, Body::Gives(2)).await
}

/// Asserts that the call was refused with this error, and that a consumer would not acknowledge its message.
#[track_caller]
fn assert_refused(told: &Told, is_so: impl Fn(&Error) -> bool) {
    assert!(matches!(told, Err(ChargeError::Refused(error)) if is_so(error)), "{told:?}");
    assert_ne!(disposition(told), Disposition::Acknowledge, "{told:?}");
}

/// Starts a body, and drops it.
async fn dies(store: &AnyStore, id: &str) {
    let gate = Gate::default();
    let begun = async {
        tokio::select! {
            told = charge(store, id, 1, Body::Waits(&gate)) => panic!("it waits: {told:?}"),
            () = gate.started() => {}
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.expect("it begins");
    // The release is sent in the background after the drop.
    let parked = async {
        while !matches!(duplicate(store, id).await, Err(ChargeError::Refused(Error::OutcomeUnknown { .. }))) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, parked).await.expect("it is parked");
}

async fn a_duplicate_of_a_success_gets_its_result_and_no_other(store: &AnyStore) {
    let first = charge(store, "succeeds", 1, Body::Gives(1)).await.unwrap();
    assert_eq!(first, Outcome::Executed(Charged::of(1)));
    assert_eq!(duplicate(store, "succeeds").await.unwrap(), Outcome::Replayed(Charged::of(1)));
}

async fn a_duplicate_of_a_recorded_failure_gets_that_failure(store: &AnyStore) {
    for body in [Body::Declines, Body::Gives(2)] {
        let told = charge(store, "declined", 1, body).await;
        assert!(matches!(told, Err(ChargeError::Declined)), "{told:?}");
        assert_eq!(disposition(&told), Disposition::DeadLetter);
    }
}

async fn a_call_behind_a_failure_that_freed_its_key_is_executed(store: &AnyStore) {
    let told = charge(store, "fails", 1, Body::Fails).await;
    assert!(matches!(told, Err(ChargeError::Failed)), "{told:?}");
    assert_eq!(duplicate(store, "fails").await.unwrap(), Outcome::Executed(Charged::of(2)));
}

async fn a_duplicate_of_a_running_call_is_refused(store: &AnyStore) {
    let gate = Gate::default();
    let meanwhile = async {
        gate.started().await;
        let told = duplicate(store, "runs").await;
        gate.open();
        told
    };
    let (first, told) = tokio::join!(charge(store, "runs", 1, Body::Waits(&gate)), meanwhile);
    assert_eq!(first.unwrap(), Outcome::Executed(Charged::of(1)));
    assert_refused(&told, |error| matches!(error, Error::InProgress { .. }));
}

async fn a_duplicate_that_says_something_else_is_refused(store: &AnyStore) {
    charge(store, "other", 1, Body::Gives(1)).await.unwrap();
    let told = charge(store, "other", 9, Body::Gives(9)).await;
    assert_refused(&told, |error| matches!(error, Error::KeyReused { .. }));
}

async fn a_duplicate_of_a_result_that_could_not_be_kept_is_refused(store: &AnyStore) {
    let first = charge(store, "unencodable", 1, Body::GivesUnencodable(1)).await.unwrap();
    assert_eq!(first, Outcome::Executed(Charged { cents: 1, unencodable: true }), "the first caller has its result");
    let told = duplicate(store, "unencodable").await;
    assert_refused(&told, |error| matches!(error, Error::ResultUnavailable { .. }));
}

async fn a_duplicate_of_a_parked_key_is_told_what_an_operator_said(store: &AnyStore) {
    let admin = store.admin().unwrap();
    let resolved = async |id: &str, resolution| {
        dies(store, id).await;
        admin.resolve(SCOPE, &Key::of(id).unwrap(), resolution).await.unwrap();
        duplicate(store, id).await
    };
    let found = Resolution::executed(&Charged::of(3), PATIENCE).unwrap();
    assert_eq!(resolved("found", found).await.unwrap(), Outcome::Replayed(Charged::of(3)));
    let executed = Outcome::Executed(Charged::of(2));
    assert_eq!(resolved("not executed", Resolution::NotExecuted).await.unwrap(), executed);
    let misread = Resolution::executed(&"a text", PATIENCE).unwrap();
    assert_refused(&resolved("misread", misread).await, |error| matches!(error, Error::Decode { .. }));
}

async fn a_call_behind_an_operators_forget_is_executed(store: &AnyStore) {
    charge(store, "forgotten", 1, Body::Gives(1)).await.unwrap();
    store.admin().unwrap().forget(SCOPE, &Key::of("forgotten").unwrap()).await.unwrap();
    assert_eq!(duplicate(store, "forgotten").await.unwrap(), Outcome::Executed(Charged::of(2)));
}

on_every_store! {
    a_duplicate_of_a_success_gets_its_result_and_no_other,
    a_duplicate_of_a_recorded_failure_gets_that_failure,
    a_call_behind_a_failure_that_freed_its_key_is_executed,
    a_duplicate_of_a_running_call_is_refused,
    a_duplicate_that_says_something_else_is_refused,
    a_duplicate_of_a_result_that_could_not_be_kept_is_refused,
    a_duplicate_of_a_parked_key_is_told_what_an_operator_said,
    a_call_behind_an_operators_forget_is_executed,
}
