//! R15: results and errors that can't be encoded.

use idem_runtime::{Error, MemoryStore, idempotent};
use idem_tests::Count;
use serde::{Deserialize, Serialize};

#[tokio::test]
async fn r15_a_result_whose_parts_cannot_be_encoded_is_unavailable_and_not_garbled() {
    struct Lenient(u32);
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq as _;
            let mut seq = serializer.serialize_seq(Some(2))?;
            seq.serialize_element(&7_u32)?;
            Err(serde::ser::Error::custom("no"))
        }
    }
    impl Serialize for Lenient {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq as _;
            let mut seq = serializer.serialize_seq(None)?;
            let _ = seq.serialize_element(&Fails);
            seq.serialize_element(&self.0)?;
            seq.end()
        }
    }
    impl<'de> Deserialize<'de> for Lenient {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let all = Vec::<Vec<u32>>::deserialize(deserializer)?;
            Ok(Self(all[0][0]))
        }
    }

    #[idempotent(key = "1", store = store, scope = "attack-garbled")]
    async fn handle(store: &MemoryStore) -> Result<Lenient, Error> {
        Ok(Lenient(5))
    }
    let store = MemoryStore::new();
    assert_eq!(handle(&store).await.unwrap().0, 5);
    let again = handle(&store).await.map(|lenient| lenient.0);
    assert!(matches!(again, Err(Error::ResultUnavailable { .. })), "{again:?}");
}

#[tokio::test]
async fn r15_an_error_that_panics_while_it_is_encoded_is_recorded_all_the_same() {
    #[derive(Debug, Deserialize)]
    struct Explosive;
    impl Serialize for Explosive {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("boom")
        }
    }
    impl From<Error> for Explosive {
        fn from(_: Error) -> Self {
            Self
        }
    }
    #[idempotent(key = "1", store = store, on_error = "record", scope = "attack-explosive")]
    async fn handle(store: MemoryStore, ran: Count) -> Result<u32, Explosive> {
        ran.up();
        Err(Explosive)
    }
    let (store, ran) = (MemoryStore::new(), Count::default());
    assert!(tokio::spawn(handle(store.clone(), ran.clone())).await.unwrap_err().is_panic());
    handle(store, ran.clone()).await.unwrap_err();
    assert_eq!(ran.get(), 1, "the failure was to be recorded");
}
