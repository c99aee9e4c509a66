//! Calls that are dropped.

use std::time::{Duration, Instant};

use idem_runtime::protocol::State;
use idem_runtime::{Error, IdempotencyStore};
use idem_tests::steps::key;

use super::{Server, open, open_with_pool};
use crate::charge;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn r13_a_dropped_call_is_undone() {
    let server = Server::start().await;
    for (name, store) in [("own", open(&server).await), ("pool", open_with_pool(&server, 3).await)] {
        for nth in 0..50 {
            let id = format!("{name}-{nth}");
            // The call is dropped at some point of its claim, its body or its completion.
            let call = charge(&store, &id);
            let _ = tokio::time::timeout(Duration::from_micros(40 * nth), call).await;
        }
        let admin = store.admin().unwrap();
        // Each key is free soon, or completed. No call has to wait for the lease of a minute.
        for nth in 0..50 {
            let id = format!("{name}-{nth}");
            let deadline = Instant::now() + Duration::from_secs(20);
            while let Err(error) = charge(&store, &id).await {
                assert!(matches!(error, Error::InProgress { .. }), "{error}");
                assert!(Instant::now() < deadline, "{id} is held for a caller that has gone");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let (entry, _) = admin.get("sql::charge", &key(&id)).await.unwrap().unwrap();
            assert_eq!(entry.row.state, State::Done);
        }
    }
}
