//! A result that can't be encoded: the first caller gets it all the same, and the key is completed.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use idem_runtime::{AnyStore, Error, idempotent};
use idem_tests::Count;
use idem_tests::server::Kind;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{embedded, served};

#[idempotent(key = "id", store = store, scope = "unencodable::handle")]
async fn handle<T>(store: &AnyStore, ran: &Count, id: &str, value: T) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned,
{
    ran.up();
    Ok(value)
}

#[idempotent(key = "id", store = store, scope = "unencodable::handle_blocking")]
fn handle_blocking<T>(store: &AnyStore, ran: &Count, id: &str, value: T) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned,
{
    ran.up();
    Ok(value)
}

/// An error that is recorded, if it can be encoded.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Failed<T> {
    At(T),
    #[serde(skip)]
    Refused {
        unavailable: bool,
    },
}

impl<T> From<Error> for Failed<T> {
    fn from(error: Error) -> Self {
        Self::Refused { unavailable: matches!(error, Error::ResultUnavailable { .. }) }
    }
}

#[idempotent(key = "id", store = store, scope = "unencodable::fails", on_error = "record")]
async fn fails<T: Serialize + DeserializeOwned>(
    store: &AnyStore,
    ran: &Count,
    id: &str,
    value: T,
) -> Result<(), Failed<T>> {
    ran.up();
    Err(Failed::At(value))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Deep(Option<Box<Deep>>);

/// A value with so many levels.
fn deep(levels: u32) -> Deep {
    (0..levels).fold(Deep(None), |deep, _| Deep(Some(Box::new(deep))))
}

/// Asserts that the first caller gets the value, and that duplicates get `ResultUnavailable`.
async fn is_returned_once<T>(store: &AnyStore, id: &str, value: T)
where
    T: Serialize + DeserializeOwned + Clone + Debug + PartialEq,
{
    let ran = Count::default();
    assert_eq!(handle(store, &ran, id, value.clone()).await.unwrap(), value, "{id}");
    let error = handle(store, &ran, id, value.clone()).await.unwrap_err();
    assert!(matches!(error, Error::ResultUnavailable { .. }), "{id}: {error}");
    assert_eq!(handle_blocking(store, &ran, id, value.clone()).unwrap(), value, "{id}");
    let error = handle_blocking(store, &ran, id, value.clone()).unwrap_err();
    assert!(matches!(error, Error::ResultUnavailable { .. }), "{id}: {error}");
    assert_eq!(fails(store, &ran, id, value.clone()).await, Err(Failed::At(value.clone())), "{id}");
    assert_eq!(fails(store, &ran, id, value).await, Err(Failed::Refused { unavailable: true }), "{id}");
    assert_eq!(ran.get(), 3, "{id}");
}

async fn are_returned_once(store: &AnyStore) {
    let path = PathBuf::from(OsStr::from_bytes(b"caf\xe9"));
    is_returned_once(store, "a path", path.clone()).await;
    is_returned_once(store, "a path within", Some(path)).await;
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    is_returned_once(store, "a time", before).await;
    is_returned_once(store, "a time within", vec![(1_u8, before)]).await;
    is_returned_once(store, "deep", deep(200)).await;
    is_returned_once(store, "deep within", Some(deep(200))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_result_that_can_not_be_encoded_reaches_its_first_caller() {
    let (_home, stores) = embedded().await;
    for store in stores {
        are_returned_once(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r15_a_result_that_can_not_be_encoded_reaches_its_first_caller_on_every_server() {
    for kind in [Kind::Postgres, Kind::MariaDb, Kind::Redis] {
        let (_server, store) = served(kind).await;
        are_returned_once(&store).await;
    }
}
