//! Handlers that take a driver's transaction by `&`: `super` says which.

use idem_runtime::{Outcome, idempotent};
use idem_tests::Failure;

use super::super::Driver;
use super::{Bench, Client};

#[idempotent(key = "id", tx = "tx")]
async fn book(tx: &<Client as Driver>::Handle<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failure> {
    let _ = (tx, id);
    Ok(amount.into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_by_a_shared_reference_as_well() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;

    let tx = client.begin().await;
    assert_eq!(book(&tx, "a", 1).await.unwrap(), Outcome::Executed(1));
    Client::rollback(tx).await;
    for expected in [Outcome::Executed(2), Outcome::Replayed(2)] {
        let tx = client.begin().await;
        assert_eq!(book(&tx, "a", 2).await.unwrap(), expected);
        Client::commit(tx).await;
    }
}
