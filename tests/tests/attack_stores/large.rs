//! R15: results of the greatest length that a store takes.

use idem_runtime::store::{ClaimAnswer, ClaimRequest, CompleteRequest, Owner, Record, Standing};
use idem_runtime::{AnyStore, IdempotencyStore};
use idem_tests::server::{MariaDb, Postgres, Redis};

use tokio::task::JoinSet;

use super::{HOUR, key};

/// Completes many keys at once, each with a result of the greatest length.
async fn large(store: AnyStore, many: u32) {
    let most = store.max_record_len();
    let bytes: Vec<u8> = (0..most).map(|nth| (nth % 251) as u8).collect();
    let record = Record::from(std::sync::Arc::<[u8]>::from(bytes));
    let mut claims = Vec::new();
    for nth in 0..many {
        let key = key(format!("large {nth}"));
        let owner = Owner::random();
        let ClaimAnswer::Acquired(grant) = store.claim(ClaimRequest::new("attack", &key, owner, HOUR)).await.unwrap()
        else {
            panic!()
        };
        claims.push((key, owner, grant.fence));
    }
    let mut calls = JoinSet::new();
    for (key, owner, fence) in claims {
        let (store, record) = (store.clone(), record.clone());
        calls.spawn(async move {
            let claim = ClaimRequest::new("attack", &key, owner, HOUR);
            store.complete(CompleteRequest::new(&claim, fence, &record, HOUR)).await.unwrap()
        });
    }
    assert!(calls.join_all().await.into_iter().all(|standing| standing == Standing::Held));
    let (_, found) = store.admin().unwrap().get("attack", &key("large 0")).await.unwrap().unwrap();
    assert_eq!(found, Some(record));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r15_postgres_keeps_many_large_results() {
    let server = Postgres::start_with(&["-c", "fsync=off", "-c", "max_wal_size=4GB"]).await;
    large(idem_runtime::connect(&server.url()).await.unwrap(), 66).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r15_mysql_keeps_large_results() {
    let server = MariaDb::start_with(&[
        "--max-allowed-packet=64M",
        "--innodb-log-file-size=512M",
        "--innodb-flush-log-at-trx-commit=0",
    ])
    .await;
    large(idem_runtime::connect(&server.url()).await.unwrap(), 8).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn r15_redis_keeps_large_results() {
    let server = Redis::start_with(&["--appendfsync", "no"]).await;
    large(idem_runtime::connect(&server.url()).await.unwrap(), 20).await;
}
