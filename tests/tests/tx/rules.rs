//! The rules, on one database: `super` says which.

use std::time::Duration;

use idem_runtime::Outcome;
use idem_runtime::idempotent;

use super::{Bench, Failed, Tx, effect};

/// As long as nothing should happen in.
const MOMENT: Duration = Duration::from_millis(150);

#[idempotent(key = "id", tx = "tx")]
async fn book(tx: &mut Tx<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failed> {
    effect(tx, id).await?;
    Ok(amount.into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_what_is_committed_is_replayed_and_what_is_rolled_back_never_was() {
    let bench = Bench::new().await;

    let mut tx = bench.begin().await;
    assert_eq!(book(&mut tx, "a", 1).await.unwrap(), Outcome::Executed(1));
    tx.rollback().await.unwrap();
    assert_eq!(bench.effects("a").await, 0);

    let mut tx = bench.begin().await;
    assert_eq!(book(&mut tx, "a", 2).await.unwrap(), Outcome::Executed(2));
    assert_eq!(book(&mut tx, "a", 3).await.unwrap(), Outcome::Replayed(2), "in the same transaction");
    tx.commit().await.unwrap();

    let mut tx = bench.begin().await;
    assert_eq!(book(&mut tx, "a", 4).await.unwrap(), Outcome::Replayed(2));
    tx.commit().await.unwrap();
    assert_eq!(bench.effects("a").await, 1);
}
