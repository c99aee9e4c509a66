//! The stores conform whatever the settings of the server are.

use idem_runtime::conformance::Suite;
use idem_runtime::{MySqlStore, PostgresStore};
use idem_tests::server::{MariaDb, Postgres};
use sqlx::Executor as _;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn conforms_whatever_the_settings_of_postgres() {
    let server = Postgres::start_with(&[
        "-c",
        "standard_conforming_strings=off",
        "-c",
        "bytea_output=escape",
        "-c",
        "backslash_quote=on",
        "-c",
        "transform_null_equals=on",
        "-c",
        "extra_float_digits=-15",
        "-c",
        "DateStyle=German",
        "-c",
        "IntervalStyle=sql_standard",
        "-c",
        "TimeZone=Asia/Kathmandu",
        "-c",
        "default_transaction_deferrable=on",
    ])
    .await;
    for simple in [false, true] {
        Suite::new()
            .run(async || PostgresStore::options().simple_queries(simple).open(&server.url()).await.unwrap())
            .await;
        let pool = sqlx::PgPool::connect(&server.url()).await.unwrap();
        Suite::new()
            .run(async || PostgresStore::options().simple_queries(simple).open_with(pool.clone()).await.unwrap())
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn conforms_whatever_the_settings_of_mysql() {
    let server = MariaDb::start_with(&[
        "--autocommit=0", "--sql-mode=ANSI,TRADITIONAL,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,SIMULTANEOUS_ASSIGNMENT,EMPTY_STRING_IS_NULL,HIGH_NOT_PRECEDENCE",
        "--transaction-isolation=SERIALIZABLE", "--lower-case-table-names=1", "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_general_ci", "--default-time-zone=+05:45", "--sql-safe-updates=1", "--innodb-flush-log-at-trx-commit=0",
        "--innodb-lock-wait-timeout=2",
    ]).await;
    Suite::new().run(async || MySqlStore::open(&server.url()).await.unwrap()).await;
    let pool = sqlx::MySqlPool::connect(&server.url()).await.unwrap();
    Suite::new().run(async || MySqlStore::open_with(pool.clone()).await.unwrap()).await;
    let modes = "ANSI,TRADITIONAL,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,SIMULTANEOUS_ASSIGNMENT,EMPTY_STRING_IS_NULL,HIGH_NOT_PRECEDENCE";
    let pool = sqlx::mysql::MySqlPoolOptions::new()
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection
                    .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
                        "SET SESSION sql_mode='{modes}', autocommit=0, tx_isolation='SERIALIZABLE'"
                    ))))
                    .await
                    .map(drop)
            })
        })
        .connect(&server.url())
        .await
        .unwrap();
    Suite::new().run(async || MySqlStore::open_with(pool.clone()).await.unwrap()).await;
}
