//! Large records, and the size of the server's packets.

use idem_runtime::IdempotencyStore;
use idem_runtime::store::Record;
use idem_tests::steps::{execute, key, replay};
use tokio::task::JoinSet;

use crate::SCOPE;
use crate::databases::mariadb::{Server, open};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r15_a_large_result_is_kept_or_known_to_be_too_large() {
    let server = Server::start_with(&["--max-allowed-packet=1M"]).await;
    let store = open(&server).await;
    let most = store.max_record_len();
    assert!((400_000..512 * 1024).contains(&most), "{most}");
    let mut calls = JoinSet::new();
    // Together the records are larger than a packet that the server accepts.
    for nth in 0..12 {
        let store = store.clone();
        calls.spawn(async move {
            let (key, record) = (key(format!("{nth}")), Record::from_bytes(&vec![nth; most]));
            execute(&store, SCOPE, &key, &record).await;
            assert_eq!(replay(&store, SCOPE, &key).await, record);
        });
    }
    calls.join_all().await;
    // Records of 16 MiB, which this server and the driver accept.
    let server = Server::start_with(&["--max-allowed-packet=64M", "--innodb-log-file-size=256M"]).await;
    let store = open(&server).await;
    assert_eq!(store.max_record_len(), 16 * 1024 * 1024);
    execute(&store, SCOPE, &key("large"), &Record::from_bytes(&vec![7; store.max_record_len()])).await;
    assert_eq!(replay(&store, SCOPE, &key("large")).await.as_bytes().len(), store.max_record_len());
}
