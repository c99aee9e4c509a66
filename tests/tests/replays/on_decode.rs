//! `on_decode` in lease mode: what a duplicate gets if its record can't be read.

use std::borrow::Borrow;
use std::sync::Mutex;

use async_trait::async_trait;
use idem_runtime::{
    AnyStore, DecodeError, Error, HandlerOutput, IdempotencyStore as _, MemoryStore, Outcome, idempotent,
};
use idem_tests::log::Log;
use idem_tests::server::Kind;
use idem_tests::steps::{execute, key, record, replay, result};
use idem_tests::{Count, Failure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{embedded, served};

/// The result after a deploy of a handler that returned `()` before.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Receipt {
    cents: u64,
}

fn default<T: Default>(_: &DecodeError) -> Result<T, Failure> {
    Ok(T::default())
}

fn declined<T>(_: &DecodeError) -> Result<T, Failure> {
    Err(Failure::Declined)
}

/// The handler before and after a deploy.
#[idempotent(key = "id", store = store, scope = "on_decode::answered", on_decode = default)]
async fn answered<T>(store: &AnyStore, ran: &Count, id: &str, value: T) -> Result<Outcome<T>, Failure>
where
    T: Serialize + DeserializeOwned + Default,
{
    ran.up();
    Ok(value.into())
}

#[idempotent(key = "id", store = store, scope = "on_decode::answered_blocking", on_decode = "default::<T>")]
fn answered_blocking<T>(store: &AnyStore, ran: &Count, id: &str, value: T) -> Result<T, Failure>
where
    T: Serialize + DeserializeOwned + Default,
{
    ran.up();
    Ok(value)
}

#[idempotent(key = "id", store = store, scope = "on_decode::refused", on_decode = declined)]
async fn refused<T: Serialize + DeserializeOwned>(
    store: &AnyStore,
    ran: &Count,
    id: &str,
    value: T,
) -> Result<T, Failure> {
    ran.up();
    Ok(value)
}

async fn answers(store: &AnyStore) {
    const SCOPE: &str = "on_decode::answered";
    let ran = Count::default();
    assert_eq!(answered(store, &ran, "a", ()).await.unwrap(), Outcome::Executed(()));
    let before = replay(store, SCOPE, &key("a")).await;
    for _ in 0..2 {
        let receipt = answered(store, &ran, "a", Receipt { cents: 7 }).await.unwrap();
        assert_eq!(receipt, Outcome::Replayed(Receipt { cents: 0 }));
    }
    // The function's answer is not recorded, so the old code still replays its own record.
    assert_eq!(replay(store, SCOPE, &key("a")).await, before);
    assert_eq!(answered(store, &ran, "a", ()).await.unwrap(), Outcome::Replayed(()));

    // A record that is damaged, or that a newer version of the library wrote.
    execute(store, SCOPE, &key("b"), &record("\u{7f}?")).await;
    assert_eq!(answered(store, &ran, "b", 7_u8).await.unwrap(), Outcome::Replayed(0));
    assert_eq!(ran.get(), 1);

    let ran = Count::default();
    answered_blocking(store, &ran, "a", Receipt { cents: 7 }).unwrap();
    answered_blocking(store, &ran, "a", ()).unwrap();
    assert_eq!(answered_blocking(store, &ran, "a", Some(8_u8)).unwrap(), None);
    assert_eq!(answered_blocking(store, &ran, "a", Receipt { cents: 8 }).unwrap(), Receipt { cents: 7 });
    assert_eq!(ran.get(), 1);

    let ran = Count::default();
    refused(store, &ran, "a", ()).await.unwrap();
    assert!(matches!(refused(store, &ran, "a", Receipt { cents: 7 }).await, Err(Failure::Declined)));
    // An error from the function doesn't free the completed key.
    refused(store, &ran, "a", ()).await.unwrap();
    assert_eq!(ran.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_function_answers_for_a_record_of_another_type() {
    let (_home, stores) = embedded().await;
    for store in stores {
        answers(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r16_a_function_answers_for_a_record_of_another_type_on_every_server() {
    for kind in [Kind::Postgres, Kind::MariaDb, Kind::Redis] {
        let (_server, store) = served(kind).await;
        answers(&store).await;
    }
}

#[idempotent(key = "id", store = store, scope = "on_decode::event", on_decode = default)]
fn told<T: Serialize + DeserializeOwned + Default>(store: &MemoryStore, id: &str, value: T) -> Result<T, Failure> {
    Ok(value)
}

/// There is an event for each answer of the function, and none for a record that can be read.
#[test]
fn each_answer_for_a_record_tells_an_event() {
    let (store, log) = (MemoryStore::new(), Log::default());
    let _told = tracing::subscriber::set_default(log.clone());
    told(&store, "id", "hunter2".to_owned()).unwrap();
    told(&store, "id", String::new()).unwrap();
    assert!(!log.take().contains("unreadable"));
    for _ in 0..2 {
        assert_eq!(told(&store, "id", 7_u8).unwrap(), 0);
        let text = log.take();
        assert!(text.contains("\"on_decode::event\" id \"unreadable\"") && !text.contains("hunter2"), "{text}");
        assert!(text.contains("\"ended\" \"replayed\""), "{text}");
    }
}

static REASONS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn noted(error: &DecodeError) -> Result<Vec<u8>, Failure> {
    REASONS.lock().unwrap().push(format!("{error} {error:?}"));
    Ok(Vec::new())
}

#[idempotent(key = "id", store = store, scope = "on_decode::reason", on_decode = noted)]
fn reasoned(store: &MemoryStore, id: &str) -> Result<Vec<u8>, Failure> {
    unreachable!("its key is completed")
}

/// The function learns what was expected and where, never what was found.
#[tokio::test(flavor = "multi_thread")]
async fn r19_the_function_is_shown_no_value() {
    let store = MemoryStore::new();
    execute(&store, "on_decode::reason", &key("id"), &result(&("hunter2", 7_u8))).await;
    assert!(reasoned(&store, "id").unwrap().is_empty());
    let reasons = REASONS.lock().unwrap();
    assert!(reasons[0].starts_with("expected u8 at byte 3") && !reasons[0].contains("hunter2"), "{reasons:?}");
}

/// An error that was recorded.
#[derive(Debug, Serialize, Deserialize)]
enum Declined<C> {
    For(C),
    Unknown,
    #[serde(skip)]
    Refused(#[expect(dead_code, reason = "shown where a test fails")] Error),
}

impl<C> From<Error> for Declined<C> {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

fn unknown<C>(error: &DecodeError) -> Result<(), Declined<C>> {
    if error.is_of_error() { Err(Declined::Unknown) } else { Ok(()) }
}

#[idempotent(key = "id", store = store, scope = "on_decode::recorded", on_error = "record", on_decode = unknown)]
async fn fails<C: Serialize + DeserializeOwned>(store: &MemoryStore, id: &str, cause: C) -> Result<(), Declined<C>> {
    Err(Declined::For(cause))
}

#[tokio::test]
async fn a_function_answers_for_a_recorded_error_too_and_can_tell_it() {
    let store = MemoryStore::new();
    execute(&store, "on_decode::recorded", &key("b"), &result(&7_u8)).await;
    assert!(fails(&store, "b", 7_u8).await.is_ok(), "it is of a result");
    assert!(matches!(fails(&store, "a", "no funds".to_owned()).await, Err(Declined::For(_))));
    assert!(matches!(fails(&store, "a", 7_u8).await, Err(Declined::Unknown)));
    assert!(matches!(fails(&store, "a", String::new()).await, Err(Declined::For(cause)) if cause == "no funds"));
}

/// A result that could not be kept is another case than a record that can't be read: the function isn't called.
#[tokio::test]
async fn a_function_does_not_answer_for_a_result_that_was_not_kept() {
    #[derive(Debug, Default, Deserialize)]
    struct Unencodable;
    impl Serialize for Unencodable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }

    let (store, ran) = (AnyStore::new(MemoryStore::new()), Count::default());
    answered(&store, &ran, "id", Unencodable).await.unwrap();
    let unavailable = answered(&store, &ran, "id", Unencodable).await.unwrap_err().refusal();
    assert!(matches!(unavailable, Error::ResultUnavailable { .. }), "{unavailable}");
    assert_eq!(ran.get(), 1);
}

fn panics<T>(_: &DecodeError) -> Result<T, Failure> {
    panic!("the function is broken")
}

#[idempotent(key = "id", store = store, scope = "on_decode::panics", on_decode = panics)]
async fn broken<T: Serialize + DeserializeOwned>(
    store: &MemoryStore,
    ran: Count,
    value: T,
    id: u8,
) -> Result<T, Failure> {
    ran.up();
    Ok(value)
}

#[tokio::test]
async fn r16_a_function_that_panics_leaves_the_key_completed() {
    let (store, ran) = (MemoryStore::new(), Count::default());
    broken(&store, ran.clone(), "kept".to_owned(), 1).await.unwrap();
    let panicked = tokio::spawn({
        let (store, ran) = (store.clone(), ran.clone());
        async move { broken(&store, ran, 7_u8, 1).await.is_ok() }
    });
    assert!(panicked.await.unwrap_err().is_panic());
    assert_eq!(broken(&store, ran.clone(), String::new(), 1).await.unwrap(), "kept");
    assert_eq!(ran.get(), 1);
}

/// A return type of a framework.
#[derive(Debug, PartialEq)]
enum Consumed {
    Success,
    Later,
}

struct Framework;

impl HandlerOutput<Framework> for Consumed {
    type Value = u8;
    type Error = ();

    fn recorded(&mut self) -> Result<impl Serialize + '_, impl Borrow<()> + '_> {
        match self {
            Self::Success => Ok(1_u8),
            Self::Later => Err(()),
        }
    }
    fn replayed(_: u8) -> Self {
        Self::Success
    }
    fn failed((): ()) -> Self {
        Self::Later
    }
    fn refused(error: Error) -> Self {
        panic!("{error}")
    }
}

/// Handlers at each place where the attribute can be written.
mod places {
    use super::*;

    pub(super) struct Shop(pub(super) MemoryStore);

    /// A function that answers with `Ok` or with `Err`.
    fn consumed(error: &DecodeError) -> Result<u8, ()> {
        if error.to_string().contains("u8") { Ok(1) } else { Err(()) }
    }

    impl Shop {
        /// The function that `on_decode = Self::nothing` names. The module has another one of the same name.
        fn nothing(_: &DecodeError) -> Result<u64, Error> {
            Ok(0)
        }

        #[idempotent(key = id, store = self.0, scope = "on_decode::method", on_decode = Self::nothing)]
        pub(super) async fn method(&self, id: u8) -> Result<u64, Error> {
            Ok(id.into())
        }

        #[idempotent(key = id, store = self.0, scope = "on_decode::consumed", on_decode = consumed)]
        pub(super) fn consume(&self, id: u8) -> Consumed {
            Consumed::Later
        }
    }

    #[async_trait]
    pub(super) trait Charge {
        async fn charge(&self, id: u8) -> Result<u64, Error>;
    }

    #[async_trait]
    impl Charge for Shop {
        #[idempotent(key = id, store = self.0, scope = "on_decode::async_trait", on_decode = self::nothing)]
        async fn charge(&self, id: u8) -> Result<u64, Error> {
            Ok(id.into())
        }
    }

    fn nothing(_: &DecodeError) -> Result<u64, Error> {
        Ok(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_answers_wherever_the_attribute_goes() {
    use places::{Charge as _, Shop};

    let shop = Shop(MemoryStore::new());
    for scope in ["on_decode::method", "on_decode::consumed", "on_decode::async_trait"] {
        execute(&shop.0, scope, &key("1"), &result(&"text")).await;
    }
    assert_eq!(shop.method(1).await.unwrap(), 0);
    assert_eq!(shop.charge(1).await.unwrap(), 0);
    assert_eq!(shop.consume(1), Consumed::Success);
}

/// Without a function, or with `on_decode = "error"`, the duplicate gets an error.
#[tokio::test]
async fn r16_without_a_function_it_is_an_error_that_names_the_ways_out() {
    #[idempotent(key = "1", store = store, scope = "on_decode::error", on_decode = "error")]
    async fn handle<T: Serialize + DeserializeOwned>(store: &MemoryStore, value: T) -> Result<T, Error> {
        Ok(value)
    }

    let store = MemoryStore::new();
    handle(&store, ()).await.unwrap();
    let error = handle(&store, Receipt::default()).await.unwrap_err();
    assert!(matches!(error, Error::Decode { .. }) && error.to_string().contains("`on_decode`"), "{error}");
    let admin = store.admin().unwrap();
    assert_eq!(admin.stats().await.unwrap().completed, 1);
}
