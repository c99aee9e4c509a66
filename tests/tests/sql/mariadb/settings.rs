//! The server's settings don't change how the store works.

use idem_runtime::conformance::Suite;
use idem_runtime::store::Key;
use idem_tests::steps::{acquire, execute, key, record, replay, request};
use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};

use crate::SCOPE;
use crate::databases::mariadb::{OPEN_TRANSACTIONS, Server, Store, number, open, sql};

/// Settings that could change when two keys are equal, or what a statement means.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn conforms_with_any_collation_mode_and_isolation_and_a_users_pool() {
    for (charset, collation, mode, others) in [
        (
            "utf8mb4",
            "utf8mb4_general_ci",
            "ORACLE,EMPTY_STRING_IS_NULL",
            ["--transaction-isolation=SERIALIZABLE", "--autocommit=0"],
        ),
        (
            "latin1",
            "latin1_swedish_ci",
            "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,IGNORE_SPACE,PAD_CHAR_TO_FULL_LENGTH,\
             SIMULTANEOUS_ASSIGNMENT,NO_UNSIGNED_SUBTRACTION",
            ["--log-bin", "--binlog-format=ROW"],
        ),
    ] {
        let charset = format!("--character-set-server={charset}");
        let (collation, mode) = (format!("--collation-server={collation}"), format!("--sql-mode={mode}"));
        let server =
            Server::start_with(&[&charset, &collation, &mode, others[0], others[1], "--default-time-zone=+09:30"])
                .await;
        sql(&server, "CREATE DATABASE other").await;
        let url = server.url().replace("/idem", "/other");
        Suite::new().processes(2).run(async || Store::open(&url).await.unwrap()).await;

        sql(&server, "CREATE DATABASE pool").await;
        let url = server.url().replace("/idem", "/pool");
        let options: MySqlConnectOptions = url.parse().unwrap();
        let pool = MySqlPoolOptions::new().connect_with(options.disable_statement_logging()).await.unwrap();
        Suite::new().processes(2).run(async || Store::open_with(pool.clone()).await.unwrap()).await;
        assert_eq!(number(&server, OPEN_TRANSACTIONS).await, 0, "no transaction is left open");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn keys_are_told_apart_byte_by_byte() {
    let server =
        Server::start_with(&["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci", "--sql-mode="])
            .await;
    let store = open(&server).await;
    let keys: [&[u8]; 11] =
        [b"a", b"A", b"a ", b"a\0", "\u{e4}".as_bytes(), b"a\xcc\x88", b"'", b"\\'", b"\\", b"\xff", b"%"];
    for (nth, bytes) in keys.iter().enumerate() {
        execute(&store, SCOPE, &Key::from_bytes(bytes).unwrap(), &record(&nth.to_string())).await;
    }
    for (nth, bytes) in keys.iter().enumerate() {
        assert_eq!(replay(&store, SCOPE, &Key::from_bytes(bytes).unwrap()).await, record(&nth.to_string()));
    }
    acquire(&store, request(&SCOPE.to_uppercase(), &key("a"))).await;
}
