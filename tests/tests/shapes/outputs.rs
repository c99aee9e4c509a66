//! Every kind of return type, and every policy.

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

    fn into_result(self) -> Result<(), ()> {
        match self {
            Self::Success => Ok(()),
            Self::Later => Err(()),
        }
    }
    fn executed((): ()) -> Self {
        Self::Success
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
