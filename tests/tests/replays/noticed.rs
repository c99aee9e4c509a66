//! In a build with debug assertions, the library warns at the first call of an outcome that its own type can't read back.

use std::collections::{HashMap, HashSet};

use idem_runtime::store::{Leave, ReleaseRequest};
use idem_runtime::{Claim, Error, IdempotencyStore as _, MemoryStore, Outcome, idempotent, tx};
use idem_tests::log::Log;
use idem_tests::steps::{acquire, key, request};
use rusqlite::{Connection, Transaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// A value that must not be in any log.
const SECRET: u64 = 8_151_623_424_711;

/// The number of warnings about outcomes that can't be read back, and the whole log.
fn warnings(log: &Log) -> (usize, String) {
    let text = log.take();
    (text.matches("can't be read back").count(), text)
}

/// Asserts that there was one warning, if the build has debug assertions, which names the type and no value.
#[track_caller]
fn warned(log: &Log, name: &str) {
    let (count, text) = warnings(log);
    assert_eq!(count, usize::from(cfg!(debug_assertions)), "{text}");
    assert!(!cfg!(debug_assertions) || text.contains(name), "{text}");
    assert!(!text.contains(&SECRET.to_string()), "{text}");
}

/// A type that serde buffers while it reads. Its buffer can't hold integers of 128 bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Paid { cents: u128 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flattened {
    #[serde(flatten)]
    rest: HashMap<String, u128>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Cents(u128),
}

/// A `Deserialize` that panics.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Panics(u64);

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        panic!("{}", u64::deserialize(deserializer)?)
    }
}

/// The first call of a handler of this type, in a scope of its own. Its caller gets the body's own value, even if the record can't be
/// read back.
macro_rules! first_call {
    ($scope:literal, $value:expr, $type:ty) => {{
        #[idempotent(key = "id", store = store, scope = $scope)]
        async fn handle(store: &MemoryStore, id: u8, value: $type) -> Result<Outcome<$type>, Error> {
            Ok(value.into())
        }

        let (store, value): (_, $type) = (MemoryStore::new(), $value);
        assert_eq!(handle(&store, 1, value.clone()).await.unwrap(), Outcome::Executed(value));
        assert_eq!(store.admin().unwrap().stats().await.unwrap().completed, 1);
    }};
}

#[tokio::test]
async fn a_result_that_can_not_be_read_back_is_warned_of_when_it_is_recorded() {
    let log = Log::default();
    let _told = tracing::subscriber::set_default(log.clone());
    let warned = |name| warned(&log, name);
    first_call!("noticed::tagged", Tagged::Paid { cents: SECRET.into() }, Tagged);
    warned("Tagged");
    first_call!("noticed::tagged_option", Some(Tagged::Paid { cents: SECRET.into() }), Option<Tagged>);
    warned("Option<");
    first_call!("noticed::flattened", Flattened { rest: [("a".to_owned(), SECRET.into())].into() }, Flattened);
    warned("Flattened");
    first_call!("noticed::untagged", vec![(1, Untagged::Cents(SECRET.into()))], Vec<(u8, Untagged)>);
    warned("Vec<");
    first_call!("noticed::panics", Panics(SECRET), Panics);
    warned("Panics");
    first_call!("noticed::panics_within", Ok(Panics(SECRET)), Result<Panics, ()>);
    warned("Result<");
}

#[tokio::test]
async fn a_result_that_can_be_read_back_is_not() {
    let log = Log::default();
    let _told = tracing::subscriber::set_default(log.clone());
    first_call!("noticed::set", (0..100).collect(), HashSet<u32>);
    first_call!("noticed::map", (0..100).map(|n| (n, [n].into())).collect(), HashMap<u32, HashSet<u32>>);
    first_call!("noticed::wide", Some(u128::MAX), Option<u128>);
    first_call!("noticed::nothing", (), ());
    let (count, text) = warnings(&log);
    assert_eq!(count, 0, "{text}");
}

#[idempotent(key = "id", store = store, scope = "noticed::once")]
fn handle(store: &MemoryStore, id: u32) -> Result<Tagged, Error> {
    Ok(Tagged::Paid { cents: SECRET.into() })
}

#[test]
fn a_scope_is_warned_of_once() {
    let (store, log) = (MemoryStore::new(), Log::default());
    let _told = tracing::subscriber::set_default(log.clone());
    for id in 0..3 {
        handle(&store, id).unwrap();
    }
    warned(&log, "Tagged");
    assert!(matches!(handle(&store, 0), Err(Error::Decode { .. })));
}

/// An error that is recorded.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Declined {
    Over {
        cents: u128,
    },
    #[serde(skip)]
    Refused {
        error: Error,
    },
}

impl From<Error> for Declined {
    fn from(error: Error) -> Self {
        Self::Refused { error }
    }
}

#[idempotent(key = "id", store = store, scope = "noticed::error", on_error = "record")]
fn declined(store: &MemoryStore, id: u32) -> Result<(), Declined> {
    Err(Declined::Over { cents: SECRET.into() })
}

#[test]
fn an_error_that_can_not_be_read_back_is_warned_of_when_it_is_recorded() {
    let (store, log) = (MemoryStore::new(), Log::default());
    let _told = tracing::subscriber::set_default(log.clone());
    assert!(matches!(declined(&store, 1), Err(Declined::Over { .. })));
    warned(&log, "Declined");
    assert!(matches!(declined(&store, 1), Err(Declined::Refused { error: Error::Decode { .. } })));
}

async fn found(_: &Claim) -> Result<Option<Tagged>, Error> {
    Ok(Some(Tagged::Paid { cents: SECRET.into() }))
}

#[idempotent(key = "id", store = store, scope = "noticed::crash", on_crash = found)]
async fn asked(store: &MemoryStore, id: u32) -> Result<Outcome<Tagged>, Error> {
    unreachable!("the function has found its result")
}

#[tokio::test]
async fn what_on_crash_has_found_is_read_back_too() {
    let (store, log, id) = (MemoryStore::new(), Log::default(), key("1"));
    let mut claim = request("noticed::crash", &id);
    claim.retain = None;
    let grant = acquire(&store, claim).await;
    store.release(ReleaseRequest::new(&claim, grant.fence, Leave::OutcomeUnknown)).await.unwrap();
    let _told = tracing::subscriber::set_default(log.clone());
    assert_eq!(asked(&store, 1).await.unwrap(), Outcome::Replayed(Tagged::Paid { cents: SECRET.into() }));
    warned(&log, "Tagged");
}

#[idempotent(key = "id", tx = "tx", scope = "noticed::tx")]
fn in_transaction<T: Serialize + DeserializeOwned>(tx: &Transaction<'_>, id: u32, value: T) -> Result<T, Error> {
    assert!(!tx.is_autocommit());
    Ok(value)
}

#[test]
fn a_result_that_is_recorded_in_a_transaction_is_read_back_too() {
    let log = Log::default();
    let _told = tracing::subscriber::set_default(log.clone());
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(tx::schema(tx::Database::Sqlite)).unwrap();
    let tx = connection.transaction().unwrap();
    in_transaction(&tx, 1, HashSet::from([1, 2, 3])).unwrap();
    assert_eq!(warnings(&log).0, 0);
    in_transaction(&tx, 2, Panics(SECRET)).unwrap();
    warned(&log, "Panics");
    in_transaction(&tx, 3, Tagged::Paid { cents: SECRET.into() }).unwrap();
    assert_eq!(warnings(&log).0, 0, "once");
    tx.commit().unwrap();
    let tx = connection.transaction().unwrap();
    assert!(matches!(in_transaction(&tx, 3, Tagged::Paid { cents: 7 }), Err(Error::Decode { .. })));
}
