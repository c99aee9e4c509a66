//! R1, R5 and R18: the body runs once per call, and one handler has a scope.

use idem_runtime::{Error, Outcome, idempotent};
use idem_tests::Count;

use super::super::{Bench, Failed, REFUSE_UPDATES, Tx, effect};

#[idempotent(key = "format!(\"{id}\")", tx = "tx")]
async fn change_arguments(tx: &mut Tx<'_>, mut id: String) -> Result<Outcome<String>, Failed> {
    id.push_str(", changed");
    effect(tx, &id).await?;
    Ok(id.into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r01_a_body_that_changes_its_arguments_changes_nothing() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    let changed = "a, changed".to_owned();
    assert_eq!(change_arguments(&mut tx, "a".to_owned()).await.unwrap(), Outcome::Executed(changed.clone()));
    assert_eq!(change_arguments(&mut tx, "a".to_owned()).await.unwrap(), Outcome::Replayed(changed));
}

#[idempotent(key = "id", tx = "tx")]
async fn counted(tx: &mut Tx<'_>, id: &str, count: &Count) -> Result<u32, Failed> {
    effect(tx, id).await?;
    Ok(count.up())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r05_the_body_runs_at_most_once_per_call_even_where_the_record_cannot_be_written() {
    let bench = Bench::new().await;
    let count = Count::default();
    bench.execute(REFUSE_UPDATES.to_owned()).await;
    let mut tx = bench.begin().await;
    let error = counted(&mut tx, "a", &count).await.unwrap_err().refusal();
    assert!(matches!(error, Error::NotRecorded { .. }), "{error:?}");
    assert!(error.executed() && error.to_string().contains("roll back"), "{error}");
    assert_eq!(count.get(), 1);
    tx.rollback().await.unwrap();
    assert_eq!(bench.effects("a").await, 0);
}

#[idempotent(key = "id", tx = "tx")]
async fn book_inside_itself(tx: &mut Tx<'_>, id: &str, depth: u32) -> Result<Outcome<u32>, Failed> {
    if depth > 0 {
        Box::pin(book_inside_itself(tx, id, depth - 1)).await?;
    }
    effect(tx, id).await?;
    Ok(depth.into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r05_a_handler_that_calls_itself_with_its_own_key_is_refused() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    let error = book_inside_itself(&mut tx, "a", 1).await.unwrap_err().refusal();
    assert!(matches!(error, Error::NotRecorded { .. }), "{error:?}");
    tx.rollback().await.unwrap();
    assert_eq!(bench.effects("a").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r18_a_scope_has_one_handler() {
    let one = {
        #[idempotent(key = "id", tx = "tx")]
        async fn same_name(tx: &mut Tx<'_>, id: &str) -> Result<(), Failed> {
            effect(tx, id).await
        }
        same_name
    };
    let other = {
        #[idempotent(key = "id", tx = "tx")]
        async fn same_name(tx: &mut Tx<'_>, id: &str) -> Result<(), Failed> {
            effect(tx, id).await
        }
        same_name
    };
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    one(&mut tx, "a").await.unwrap();
    let taken = other(&mut tx, "b").await.unwrap_err().refusal();
    assert!(matches!(taken, Error::ScopeTaken { .. }), "{taken}");
}
