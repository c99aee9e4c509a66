//! Tests that values of real crates come back from a record unchanged: on the memory store, and on a SQLite file that is opened anew
//! before each call.

use std::any;
use std::collections::BTreeMap;
use std::fmt::Debug;

use idem_runtime::{AnyStore, Error, MemoryStore, Outcome, idempotent};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// The bounds of a handler's result.
pub trait Value: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static> Value for T {}

#[idempotent(key = "key", scope = "types", store = store)]
async fn handler<T: Value>(store: &AnyStore, key: &str, value: T) -> Result<Outcome<T>, Error> {
    Ok(value.into())
}

/// Two stores, which are deleted at the end.
pub struct Stores {
    memory: AnyStore,
    folder: TempDir,
}

impl Stores {
    /// Two empty stores.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { memory: AnyStore::new(MemoryStore::new()), folder }
    }

    async fn open(&self) -> [AnyStore; 2] {
        let url = format!("sqlite:{}", self.folder.path().join("types.sqlite").display());
        let sqlite = idem_runtime::connect(&url).await.expect("the file can be opened");
        [self.memory.clone(), sqlite]
    }

    /// Makes the first call with this key, which records its result.
    pub async fn record<T: Value>(&self, key: &str, value: &T) {
        for store in self.open().await {
            let outcome = handler(&store, key, value.clone()).await;
            assert!(matches!(&outcome, Ok(Outcome::Executed(executed)) if executed == value), "{outcome:?}");
        }
    }

    /// The `T` that both stores replay. Asserts that the body doesn't run, which would return another value.
    pub async fn replay<T: Value>(&self, key: &str, not: &T) -> Result<T, Error> {
        let mut replayed = Vec::new();
        for store in self.open().await {
            replayed.push(match handler(&store, key, not.clone()).await {
                Ok(Outcome::Replayed(value)) => Ok(value),
                Ok(outcome) => panic!("the body ran again: {outcome:?}"),
                Err(error) => Err(error),
            });
        }
        let sqlite = replayed.remove(1);
        let memory = replayed.remove(0);
        assert_eq!(memory.as_ref().ok(), sqlite.as_ref().ok());
        memory
    }

    async fn come_back<T: Value>(&self, key: &str, value: &T) {
        self.record(key, value).await;
        for _ in 0..2 {
            match self.replay(key, value).await {
                Ok(replayed) => assert_eq!(*value, replayed),
                Err(error) => panic!("{key} {}: {error}", any::type_name::<T>()),
            }
        }
    }
}

impl Default for Stores {
    fn default() -> Self {
        Self::new()
    }
}

/// A value in places at which serde reads it directly from the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Within<T> {
    field: T,
    option: Option<T>,
    options: Vec<Option<Option<T>>>,
    variants: Vec<External<T>>,
    numbered: BTreeMap<u32, T>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum External<T> {
    Newtype(T),
    Tuple(u8, T),
    Struct { field: T },
}

/// A value in places at which serde first puts it into a buffer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Buffered<T> {
    internal: Internal<T>,
    adjacent: Vec<Adjacent<T>>,
    untagged: Vec<Untagged<T>>,
    #[serde(flatten)]
    flat: Flat<T>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal<T> {
    Struct { before: u8, field: T, options: Vec<Option<Option<T>>> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "content")]
enum Adjacent<T> {
    Newtype(T),
    Struct { field: T },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged<T> {
    Tuple(bool, T),
    Struct { field: T },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat<T> {
    flat: T,
    flat_options: Vec<Option<Option<T>>>,
}

fn options<T: Value>(value: &T) -> Vec<Option<Option<T>>> {
    vec![None, Some(None), Some(Some(value.clone()))]
}

/// Asserts that the value comes back alone and inside of other types, even if serde first puts it into a buffer.
pub async fn comes_back<T: Value>(value: T) {
    comes_back_unbuffered(&value).await;
    let buffered = Buffered {
        internal: Internal::Struct { before: 1, field: value.clone(), options: options(&value) },
        adjacent: vec![Adjacent::Newtype(value.clone()), Adjacent::Struct { field: value.clone() }],
        untagged: vec![Untagged::Tuple(true, value.clone()), Untagged::Struct { field: value.clone() }],
        flat: Flat { flat_options: options(&value), flat: value },
    };
    Stores::new().come_back("buffered", &buffered).await;
}

/// Asserts that the value comes back alone and inside of other types, unless serde has to put it into a buffer.
pub async fn comes_back_unbuffered<T: Value>(value: &T) {
    let stores = Stores::new();
    stores.come_back("alone", value).await;
    let within = Within {
        field: value.clone(),
        option: Some(value.clone()),
        options: options(value),
        variants: vec![
            External::Newtype(value.clone()),
            External::Tuple(1, value.clone()),
            External::Struct { field: value.clone() },
        ],
        numbered: BTreeMap::from([(0, value.clone()), (u32::MAX, value.clone())]),
    };
    stores.come_back("within", &within).await;
}
