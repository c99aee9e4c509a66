//! R4, R15 to R17: results are replayed as they were, or are known to be unavailable, unreadable or expired.

use std::collections::BTreeMap;
use std::time::Duration;

use idem_runtime::{Error, Outcome, idempotent};

use super::super::{Bench, Failed, Tx, effect};
use super::{DAY, booked, recorded};

type Everything = (Option<Option<u8>>, f64, BTreeMap<i64, Vec<u8>>, Vec<()>, bool);

#[idempotent(key = "id", tx = "tx")]
async fn anything(tx: &mut Tx<'_>, id: &str, result: Everything) -> Result<Outcome<Everything>, Failed> {
    effect(tx, id).await?;
    Ok(result.into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r04_any_result_is_replayed_as_it_was() {
    let bench = Bench::new().await;
    let results: [Everything; 3] = [
        (Some(None), f64::NEG_INFINITY, BTreeMap::from([(-1, vec![0, 255])]), vec![], false),
        (None, -0.0, BTreeMap::new(), vec![(), ()], true),
        (
            Some(Some(0)),
            0.1,
            BTreeMap::from([(i64::MIN, vec![]), (i64::MAX, b"\x00\x1b'\"\\".to_vec())]),
            vec![()],
            true,
        ),
    ];
    for (nth, result) in results.into_iter().enumerate() {
        let id = format!("result-{nth}");
        let mut tx = bench.begin().await;
        assert_eq!(anything(&mut tx, &id, result.clone()).await.unwrap(), Outcome::Executed(result.clone()));
        tx.commit().await.unwrap();
        let mut tx = bench.begin().await;
        let another = (None, 1.0, BTreeMap::new(), vec![], false);
        assert_eq!(anything(&mut tx, &id, another).await.unwrap(), Outcome::Replayed(result));
        assert_eq!(bench.effects(&id).await, 1);
    }
}

struct Unencodable;

impl serde::Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

impl<'de> serde::Deserialize<'de> for Unencodable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("no"))
    }
}

#[idempotent(key = "id", tx = "tx")]
async fn not_kept(tx: &mut Tx<'_>, id: &str) -> Result<Unencodable, Failed> {
    effect(tx, id).await?;
    Ok(Unencodable)
}

#[idempotent(key = "id", tx = "tx")]
async fn too_large(tx: &mut Tx<'_>, id: &str) -> Result<Vec<u64>, Failed> {
    effect(tx, id).await?;
    Ok(vec![u64::MAX; 2 * 1024 * 1024])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r15_a_result_that_cannot_be_kept_is_completed_all_the_same() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    assert!(not_kept(&mut tx, "a").await.is_ok());
    assert_eq!(too_large(&mut tx, "b").await.unwrap().len(), 2 * 1024 * 1024);
    tx.commit().await.unwrap();
    let mut tx = bench.begin().await;
    let unavailable = not_kept(&mut tx, "a").await.map(drop).unwrap_err().refusal();
    assert!(matches!(unavailable, Error::ResultUnavailable { .. }), "{unavailable}");
    let unavailable = too_large(&mut tx, "b").await.unwrap_err().refusal();
    assert!(matches!(unavailable, Error::ResultUnavailable { .. }), "{unavailable}");
    effect(&mut tx, "after").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((bench.effects("a").await, bench.effects("b").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r16_a_record_that_cannot_be_read_is_an_error_and_never_a_rerun() {
    let bench = Bench::new().await;
    recorded(&bench, "a", &"hunter2", DAY).await;
    let error = booked(&bench, "a", 1).await.unwrap_err().refusal();
    assert!(matches!(error, Error::Decode { .. }), "{error}");
    // R19
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    assert_eq!(bench.effects("a").await, 0);
}

#[idempotent(key = "id", tx = "tx", ttl = "1ms")]
async fn forget_soon(tx: &mut Tx<'_>, id: &str) -> Result<Outcome<()>, Failed> {
    effect(tx, id).await?;
    Ok(().into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r17_an_expired_record_counts_as_absent() {
    let bench = Bench::new().await;
    for round in 1..=3 {
        let mut tx = bench.begin().await;
        assert_eq!(forget_soon(&mut tx, "a").await.unwrap(), Outcome::Executed(()));
        tx.commit().await.unwrap();
        assert_eq!(bench.effects("a").await, round);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
