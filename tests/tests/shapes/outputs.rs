//! Every kind of return type, and every policy.

use std::borrow::Borrow;

use idem_runtime::store::Leave;
use idem_runtime::{Claim, Error, HandlerOutput, OnError, Outcome, idempotent};
use serde::{Deserialize, Serialize};

use super::{pause, with_memory};

#[idempotent(key = "id")]
pub(super) async fn outcome(id: u64) -> Result<Outcome<u64>, Error> {
    Ok(id.into())
}

#[idempotent(key = "id")]
pub(super) async fn any_error(id: u64) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    if id == 0 {
        return Err("zero".into());
    }
    let parsed: u64 = id.to_string().parse()?;
    Ok(parsed)
}

#[derive(Debug, PartialEq)]
pub(super) enum Consumed {
    Success,
    Later,
}

pub(super) struct Marker;

impl HandlerOutput<Marker> for Consumed {
    type Value = ();
    type Error = ();

    fn recorded(&mut self) -> Result<impl Serialize + '_, impl Borrow<()> + '_> {
        match self {
            Self::Success => Ok(()),
            Self::Later => Err(()),
        }
    }
    fn replayed((): ()) -> Self {
        Self::Success
    }
    fn failed((): ()) -> Self {
        Self::Later
    }
    fn refused(_: Error) -> Self {
        Self::Later
    }
}

#[idempotent(key = "id")]
pub(super) async fn framework(id: u64) -> Consumed {
    if id == 0 { Consumed::Later } else { Consumed::Success }
}

#[idempotent(key = "id")]
pub(super) fn framework_blocking(id: u64) -> Consumed {
    if id == 0 { Consumed::Later } else { Consumed::Success }
}

/// A framework's answer. Its note is not recorded, and its body can only be taken out. Below 400 it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    status: u16,
    body: Option<String>,
    note: &'static str,
}

/// An answer's body, which is put back when the record was made.
struct Lent<'a> {
    body: String,
    home: &'a mut Option<String>,
}

impl Serialize for Lent<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body.serialize(serializer)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.home = Some(std::mem::take(&mut self.body));
    }
}

impl HandlerOutput<Marker> for Answer {
    type Value = String;
    type Error = Error;

    fn recorded(&mut self) -> Result<impl Serialize + '_, impl Borrow<Error> + '_> {
        let body = self.body.take().unwrap_or_default();
        Ok::<_, Error>(Lent { body, home: &mut self.body })
    }
    fn replayed(body: String) -> Self {
        Self { status: 200, body: Some(body), note: "replayed" }
    }
    fn failed(error: Error) -> Self {
        Self::refused(error)
    }
    fn refused(error: Error) -> Self {
        Self { status: error.executed().into(), body: Some(error.public().to_string()), note: "refused" }
    }
    fn leave(&self) -> Option<Leave> {
        match self.status {
            504 => Some(Leave::OutcomeUnknown),
            400.. => Some(Leave::Failed),
            _ => None,
        }
    }
}

/// Returns the status, with the number of this attempt as the body.
#[idempotent(key = "id", claim = claim)]
pub(super) async fn answered(id: u64, status: u16) -> Answer {
    pause().await;
    Answer { status, body: Some(claim.attempt().to_string()), note: "the body's own" }
}

#[idempotent(key = "id", claim = claim, on_crash = "park")]
pub(super) fn answered_blocking(id: u64, status: u16) -> Answer {
    Answer { status, body: Some(claim.attempt().to_string()), note: "the body's own" }
}

/// Passes on what another handler returned.
#[idempotent(key = "id")]
pub(super) async fn passed_on(id: u64) -> Result<Outcome<u64>, Error> {
    outcome(id).await
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Failure {
    Refused,
    Ambiguous,
    Other(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error.to_string())
    }
}

#[idempotent(key = "id", on_error = "record")]
pub(super) async fn recorded(id: u64) -> Result<u64, Failure> {
    if id == 0 { Err(Failure::Refused) } else { Ok(id) }
}

fn is_final(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused)
}

#[idempotent(key = "id", on_error = record_if(is_final))]
pub(super) async fn recorded_if(id: u64) -> Result<u64, Failure> {
    if id == 0 { Err(Failure::Refused) } else { Ok(id) }
}

#[idempotent(key = "id", on_error = "record_if(self::is_final)")]
pub(super) fn recorded_if_blocking(id: u64) -> Result<u64, Failure> {
    if id == 0 { Err(Failure::Refused) } else { Ok(id) }
}

fn decide(failure: &Failure) -> OnError {
    match failure {
        Failure::Ambiguous => OnError::Keep,
        Failure::Refused | Failure::Other(_) => OnError::Release,
    }
}

#[idempotent(key = "id", on_error = decide, missing_key = "run", on_store_error = "run")]
pub(super) async fn decided(id: Option<u64>) -> Result<u64, Failure> {
    id.ok_or(Failure::Ambiguous)
}

#[idempotent(key = "id", on_error = "decide", on_crash = "park")]
pub(super) fn decided_blocking(id: u64) -> Result<u64, Failure> {
    Ok(id)
}

#[idempotent(key = "id", on_error = "keep", on_crash = "rerun")]
pub(super) async fn kept(id: u64) -> Result<u64, Failure> {
    Ok(id)
}

async fn find_out(claim: &Claim) -> Result<Option<u64>, Failure> {
    pause().await;
    Ok((!claim.key().is_empty()).then_some(1))
}

#[idempotent(key = "id", on_crash = find_out)]
pub(super) async fn asked(id: u64) -> Result<u64, Failure> {
    Ok(id)
}

#[idempotent(key = "id", on_crash = "find_out", claim = c)]
pub(super) async fn asked_by_name(id: u64) -> Result<Outcome<u64>, Failure> {
    Ok((id + u64::from(c.attempt())).into())
}

#[idempotent(key = "id", on_crash = async |claim: &Claim| find_out(claim).await)]
pub(super) async fn asked_by_closure(id: u64) -> Result<u64, Failure> {
    Ok(id)
}

#[tokio::test]
async fn every_output_and_policy_runs() {
    with_memory(async {
        assert_eq!(outcome(1).await.unwrap(), Outcome::Executed(1));
        assert_eq!(any_error(1).await.unwrap(), 1);
        assert_eq!(any_error(0).await.unwrap_err().to_string(), "zero");
        assert_eq!(framework(1).await, Consumed::Success);
        assert_eq!(framework(0).await, Consumed::Later);
        assert!(matches!(recorded(0).await, Err(Failure::Refused)));
        assert!(matches!(recorded_if(0).await, Err(Failure::Refused)));
        assert!(matches!(decided(None).await, Err(Failure::Ambiguous)));
        assert_eq!(kept(1).await.unwrap(), 1);
        assert_eq!(asked(1).await.unwrap(), 1);
        assert_eq!(asked_by_name(1).await.unwrap().into_inner(), 2);
        assert_eq!(asked_by_closure(1).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_caller_gets_the_bodys_own_value() {
    let own = |status, attempt: &str| Answer { status, body: Some(attempt.to_owned()), note: "the body's own" };
    let replayed = Answer { status: 200, body: Some("1".to_owned()), note: "replayed" };
    with_memory(async {
        assert_eq!(answered(1, 201).await, own(201, "1"));
        assert_eq!(answered(1, 201).await, replayed);
        assert_eq!(answered_blocking(1, 201), own(201, "1"));
        assert_eq!(answered_blocking(1, 201), replayed);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_neither_a_result_nor_an_error_leaves_the_key_as_it_says() {
    with_memory(async {
        for attempt in ["1", "2", "3"] {
            let answer = answered(1, 503).await;
            assert_eq!((answer.status, answer.body.as_deref(), answer.note), (503, Some(attempt), "the body's own"));
        }
        assert_eq!(answered_blocking(1, 504).note, "the body's own");
        let parked = answered_blocking(1, 504);
        assert_eq!(
            parked.body.as_deref(),
            Some("a request with this idempotency key was begun, and its outcome is unknown")
        );
    })
    .await;
}

#[tokio::test]
async fn a_call_that_ran_its_body_says_so_whatever_the_body_says() {
    with_memory(async {
        assert_eq!(outcome(1).await.unwrap(), Outcome::Executed(1));
        assert_eq!(passed_on(1).await.unwrap(), Outcome::Executed(1));
        assert_eq!(passed_on(1).await.unwrap(), Outcome::Replayed(1));
    })
    .await;
}
