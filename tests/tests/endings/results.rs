//! R4, R15 to R17: what is recorded of a result, and for how long.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use idem_runtime::{Error, MemoryStore, Outcome, idempotent};
use idem_tests::Count;
use idem_tests::probe::Probe;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

async fn replays<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + Clone>(value: T) {
    #[idempotent(key = "1", scope = "endings-replays", store = store)]
    async fn handle<T: Serialize + DeserializeOwned>(
        store: &MemoryStore,
        ran: &Count,
        value: Option<T>,
    ) -> Result<Outcome<T>, Error> {
        ran.up();
        Ok(value.expect("the body runs once").into())
    }

    let (store, ran) = (MemoryStore::new(), Count::default());
    let first = handle(&store, &ran, Some(value.clone())).await.unwrap();
    assert_eq!(first, Outcome::Executed(value.clone()));
    let again = handle::<T>(&store, &ran, None).await.unwrap();
    assert_eq!(again, Outcome::Replayed(value));
    assert_eq!(ran.get(), 1);
}

#[tokio::test]
async fn r04_every_result_is_replayed_alike() {
    replays(()).await;
    replays(None::<u8>).await;
    replays(Some(None::<u8>)).await;
    replays(Some(())).await;
    replays(false).await;
    replays(0_u8).await;
    replays(f64::INFINITY).await;
    replays(f64::NEG_INFINITY).await;
    replays(f32::MIN_POSITIVE).await;
    replays(String::new()).await;
    replays(Vec::<String>::new()).await;
    replays(HashMap::from([((1_u8, "a".to_owned()), vec![Some(None), None, Some(Some(3_i8))])])).await;
    replays(BTreeMap::from([(Some(1_i64), u128::MAX), (None, 0)])).await;
    replays("x".repeat(100_000)).await;
}

#[tokio::test]
async fn r15_a_result_that_cannot_be_kept_is_a_completed_key() {
    /// A type whose serialization fails.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Unencodable;
    impl Serialize for Unencodable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }

    #[idempotent(key = "id", store = store)]
    async fn unencodable(store: &Probe, ran: &Count, id: u32) -> Result<Unencodable, Error> {
        ran.up();
        Ok(Unencodable)
    }

    #[idempotent(key = "id", store = store)]
    async fn too_large(store: &Probe, ran: &Count, id: u32) -> Result<String, Error> {
        ran.up();
        Ok("x".repeat(5000))
    }

    let (store, ran) = (Probe::new(), Count::default());
    assert_eq!(unencodable(&store, &ran, 1).await.unwrap(), Unencodable);
    assert!(matches!(unencodable(&store, &ran, 1).await, Err(Error::ResultUnavailable { .. })));
    assert_eq!(too_large(&store, &ran, 1).await.unwrap().len(), 5000);
    assert!(matches!(too_large(&store, &ran, 1).await, Err(Error::ResultUnavailable { .. })));
    assert_eq!(ran.get(), 2);
}

#[tokio::test]
async fn r16_a_field_can_be_added_and_a_changed_type_is_an_error() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Old {
        id: u32,
        dropped: String,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        id: u64,
        #[serde(default)]
        added: Option<u8>,
    }

    /// The handler before and after a deploy.
    #[idempotent(key = "1", scope = "endings-deploy", store = store)]
    async fn handle<T: Serialize + DeserializeOwned>(store: &MemoryStore, value: T) -> Result<T, Error> {
        Ok(value)
    }

    let store = MemoryStore::new();
    handle(&store, Old { id: 7, dropped: "secret".to_owned() }).await.unwrap();
    assert_eq!(handle(&store, New { id: 8, added: Some(1) }).await.unwrap(), New { id: 7, added: None });
    let error = handle(&store, vec![1_u8]).await.unwrap_err();
    assert!(matches!(error, Error::Decode { .. }) && !error.executed(), "{error}");
    assert!(error.to_string().contains("endings-deploy"), "{error}");
}

#[tokio::test]
async fn r17_ttl_counts_from_the_completion() {
    #[idempotent(key = "id", store = store, ttl = "900ms", lease = "900ms", scope = "endings-r17-1")]
    async fn handle(store: &MemoryStore, ran: &Count, id: u32) -> Result<u32, Error> {
        let turn = ran.up();
        tokio::time::sleep(Duration::from_millis(1000)).await;
        Ok(turn)
    }

    let (store, ran) = (MemoryStore::new(), Count::default());
    assert_eq!(handle(&store, &ran, 1).await.unwrap(), 1);
    assert_eq!(handle(&store, &ran, 1).await.unwrap(), 1, "remembered, though it was claimed longer ago than its ttl");
    tokio::time::sleep(Duration::from_millis(910)).await;
    assert_eq!(handle(&store, &ran, 1).await.unwrap(), 2, "the key has expired, though it was not swept");
}
