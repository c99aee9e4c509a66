//! What a driver that isn't at fault logs: `super` says which.

use idem_runtime::{Outcome, idempotent};
use idem_tests::Failure;

use super::super::{Driver, logs};
use super::{Bench, Client};

#[idempotent(key = "id", tx = "tx")]
async fn tell(tx: &mut <Client as Driver>::Handle<'_>, id: &str) -> Result<Outcome<String>, Failure> {
    Client::effect(tx, id).await;
    Ok(logs::SECRET.to_owned().into())
}

// On one thread, as only its events are collected.
#[tokio::test]
#[ignore = "starts servers: run by tests/run"]
async fn r19_a_recorded_result_is_in_no_log() {
    let bench = Bench::new().await;
    let logs = logs::Logs::of_this_thread();
    let mut client = Client::connect(&bench.url).await;
    for expected in [Outcome::Executed(logs::SECRET.to_owned()), Outcome::Replayed(logs::SECRET.to_owned())] {
        let mut tx = client.begin().await;
        assert_eq!(tell(&mut tx, "a").await.unwrap(), expected);
        Client::commit(tx).await;
    }
    let logs = logs.text();
    assert!(logs.contains("INSERT INTO effects"), "the driver's own events are missing: {logs}");
    for form in logs::forms() {
        assert!(!logs.contains(&form), "{form} in {logs}");
    }
}
