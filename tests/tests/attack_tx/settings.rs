//! Unusual settings of a database, and unusual states of a transaction, in which a handler is called.

use idem_runtime::{Error, Outcome, idempotent};
use sqlx::Executor as _;

use super::support::{Failed, mariadb, postgres, sqlite};

macro_rules! handlers {
    ($database:ident) => {
        use $database::*;

        #[idempotent(key = "id", tx = "tx")]
        async fn large(tx: &mut Tx<'_>, id: &str, length: usize) -> Result<Outcome<String>, Failed> {
            effect(tx, id).await?;
            Ok("x".repeat(length).into())
        }
    };
}

mod on_postgres {
    use super::*;

    handlers!(postgres);

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts PostgreSQL: run by tests/run"]
    async fn a_transaction_that_has_failed_or_may_not_write_is_refused_by_the_database() {
        let bench = Bench::new().await;
        let mut first = begin(&bench, "BEGIN").await;
        book(&mut first, "a", 1).await.unwrap();
        for (start, said, conflicts) in [
            ("BEGIN", None, false),
            ("BEGIN READ ONLY", Some("read-only transaction"), false),
            ("BEGIN; SET LOCAL statement_timeout = '50ms'", Some("statement timeout"), true),
        ] {
            let mut tx = begin(&bench, start).await;
            if said.is_none() {
                (&mut *tx).execute("SELECT 1 / 0").await.unwrap_err();
            }
            let error = book(&mut tx, "a", 2).await.unwrap_err().refusal();
            let as_expected = match &error {
                Error::Store { .. } => !conflicts,
                Error::Conflict { .. } => conflicts,
                _ => false,
            };
            assert!(as_expected, "{error:?}");
            assert!(error.is_retryable() && !error.executed());
            assert!(error.to_string().contains(said.unwrap_or("transaction is aborted")), "{error}");
            tx.rollback().await.unwrap();
        }
    }

    #[idempotent(key = "id", tx = "tx")]
    async fn swallow(tx: &mut Tx<'_>, id: &str) -> Result<(), Failed> {
        effect(tx, id).await?;
        let _ = (&mut **tx).execute("SELECT 1 / 0").await;
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts PostgreSQL: run by tests/run"]
    async fn r22_a_body_that_swallows_an_error_is_not_recorded() {
        let bench = Bench::new().await;
        let mut tx = begin(&bench, "BEGIN").await;
        let error = swallow(&mut tx, "a").await.unwrap_err().refusal();
        assert!(matches!(error, Error::NotRecorded { .. }) && error.to_string().contains("roll back"), "{error}");
        assert!(error.executed() && error.is_retryable());
        let error = idem_runtime::tx::commit(tx).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { key: None, .. }), "{error}");
        assert_eq!(bench.effects("a").await, 0);
    }

    /// A body that ends the transaction by its own SQL and begins another.
    #[idempotent(key = "id", tx = "tx")]
    async fn end(tx: &mut Tx<'_>, id: &str, how: &'static str) -> Result<(), Failed> {
        effect(tx, id).await?;
        (&mut **tx).execute(sqlx::raw_sql(how)).await?;
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts PostgreSQL: run by tests/run"]
    async fn r22_a_body_that_rolls_back_is_not_recorded() {
        let bench = Bench::new().await;
        let mut tx = begin(&bench, "BEGIN").await;
        let error = end(&mut tx, "a", "ROLLBACK; BEGIN").await.unwrap_err().refusal();
        assert!(matches!(error, Error::NotRecorded { .. }), "{error}");
        assert!(error.executed(), "{error}");
        tx.rollback().await.unwrap();

        let mut tx = begin(&bench, "BEGIN").await;
        let error = end(&mut tx, "a", "ROLLBACK").await.unwrap_err().refusal();
        assert!(matches!(error, Error::TransactionLost { .. }) && error.executed(), "{error}");
        let error = idem_runtime::tx::commit(tx).await.unwrap_err();
        assert!(matches!(error, Error::TransactionLost { key: None, .. }), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts PostgreSQL: run by tests/run"]
    async fn r04_a_large_result_is_kept() {
        let bench = Bench::new().await;
        let mut tx = begin(&bench, "BEGIN").await;
        large(&mut tx, "a", 15 << 20).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = begin(&bench, "BEGIN").await;
        assert!(matches!(large(&mut tx, "a", 0).await.unwrap(), Outcome::Replayed(text) if text.len() == 15 << 20));
    }

    #[idempotent(key = "id", tx = "tx")]
    async fn book_beyond(tx: &tokio_postgres::Transaction<'_>, id: &str) -> Result<Outcome<()>, Error> {
        tx.batch_execute(&format!("INSERT INTO effects (id) VALUES ('{id}')")).await.unwrap();
        Ok(().into())
    }

    /// A pooler that can give each transaction another connection of the server. Not with sqlx, whose named statements fail there.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts PostgreSQL: run by tests/run"]
    async fn r23_behind_a_pooler_of_transactions_a_duplicate_waits_and_replays() {
        let bench = Bench::new().await;
        let pooler = idem_tests::server::PgBouncer::start(&bench.home).await;
        let settings = format!("host=127.0.0.1 port={} user=idem dbname=postgres", pooler.port());
        let mut calls = tokio::task::JoinSet::new();
        for nth in 0..24 {
            let settings = settings.clone();
            calls.spawn(async move {
                let (mut client, connection) = tokio_postgres::connect(&settings, tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                let tx = client.transaction().await.unwrap();
                let outcome = book_beyond(&tx, &format!("key {}", nth % 6)).await.unwrap();
                tx.commit().await.unwrap();
                outcome == Outcome::Executed(())
            });
        }
        let executed = calls.join_all().await.into_iter().filter(|executed| *executed).count();
        assert_eq!(executed, 6);
        for nth in 0..6 {
            assert_eq!(bench.effects(&format!("key {nth}")).await, 1);
        }
    }
}

mod on_mariadb {
    use super::*;

    handlers!(mariadb);

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn r04_a_large_result_is_kept() {
        let bench = Bench::new().await;
        for (id, length) in [("a", 10 << 20), ("b", 15 << 20), ("c", (16 << 20) - 17_000)] {
            let mut tx = begin(&bench, "BEGIN").await;
            large(&mut tx, id, length).await.unwrap();
            tx.commit().await.unwrap();
            let mut tx = begin(&bench, "BEGIN").await;
            assert!(matches!(large(&mut tx, id, 0).await.unwrap(), Outcome::Replayed(text) if text.len() == length));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn r15_a_result_beyond_the_packet_is_completed_all_the_same() {
        let bench = Bench::new().await;
        bench.execute("SET GLOBAL max_allowed_packet = 1048576".to_owned()).await;
        bench.pool.close().await;
        let pool = sqlx::MySqlPool::connect(&bench.url).await.unwrap();
        for (id, length) in [("a", (1 << 20) - 20_000), ("b", (1 << 20) - 16_384), ("c", 1 << 20)] {
            let mut tx = pool.begin().await.unwrap();
            large(&mut tx, id, length).await.unwrap();
            tx.commit().await.unwrap();
            let mut tx = pool.begin().await.unwrap();
            match large(&mut tx, id, 0).await {
                Ok(Outcome::Replayed(text)) => assert_eq!(text.len(), length),
                Err(Failed::Refused(Error::ResultUnavailable { .. })) => assert_ne!(id, "a"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn r23_at_read_uncommitted_a_duplicate_waits_and_replays() {
        let bench = Bench::new().await;
        let start = "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; BEGIN";
        let mut first = begin(&bench, start).await;
        book(&mut first, "a", 1).await.unwrap();
        let mut second = begin(&bench, start).await;
        let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM idem_keys").fetch_one(&mut *second).await.unwrap();
        assert_eq!(seen, 1);
        let commit = async {
            bench.someone_waits().await;
            first.commit().await.unwrap();
        };
        let (outcome, ()) = tokio::join!(book(&mut second, "a", 2), commit);
        assert_eq!(outcome.unwrap(), Outcome::Replayed(1));
    }

    /// `CREATE TABLE` ends the transaction.
    #[idempotent(key = "id", tx = "tx")]
    async fn define(tx: &mut Tx<'_>, id: &str) -> Result<Outcome<()>, Failed> {
        effect(tx, id).await?;
        (&mut **tx).execute("CREATE TABLE IF NOT EXISTS defined (id INT)").await?;
        Ok(().into())
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn r22_a_body_that_defines_a_table_is_told_that_a_part_may_be_committed() {
        let bench = Bench::new().await;
        let mut tx = begin(&bench, "BEGIN").await;
        let error = define(&mut tx, "a").await.unwrap_err().refusal();
        assert!(matches!(error, Error::TransactionLost { .. }) && error.executed() && !error.is_retryable(), "{error}");
        let error = idem_runtime::tx::commit(tx).await.unwrap_err();
        assert!(matches!(error, Error::TransactionLost { key: None, .. }), "{error}");
        assert_eq!(bench.effects("a").await, 1);
        let records: i64 = sqlx::query_scalar("SELECT count(*) FROM idem_keys WHERE record IS NOT NULL")
            .fetch_one(&bench.pool)
            .await
            .unwrap();
        assert_eq!(records, 0);
    }
}

mod on_sqlite {
    use super::*;

    handlers!(sqlite);

    #[tokio::test(flavor = "multi_thread")]
    async fn any_encoding_of_the_file_will_do() {
        use idem_runtime::tx::{Database, schema};

        for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
            let home = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}?mode=rwc", home.path().join("ledger.db").display());
            let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
            let mut connection = pool.acquire().await.unwrap();
            let pragma = format!("PRAGMA encoding = '{encoding}'; PRAGMA journal_mode = WAL");
            connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(pragma))).await.unwrap();
            connection.execute(sqlx::raw_sql(schema(Database::Sqlite))).await.unwrap();
            connection.execute("CREATE TABLE effects (id TEXT NOT NULL)").await.unwrap();
            drop(connection);
            for round in 0..7 {
                let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
                let call = book(&mut tx, "a", round);
                drop(tokio::time::timeout(std::time::Duration::ZERO, call).await);
                tx.commit().await.unwrap();
            }
            let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
            book(&mut tx, "a", 9).await.unwrap();
            assert!(matches!(book(&mut tx, "a", 10).await.unwrap(), Outcome::Replayed(_)));
            tx.commit().await.unwrap();
            let types: (String, String, i64, String) =
                sqlx::query_as("SELECT typeof(owner), typeof(ended), length(ended), typeof(record) FROM idem_keys")
                    .fetch_one(&pool)
                    .await
                    .unwrap();
            assert_eq!((types.0.as_str(), types.1.as_str(), types.3.as_str()), ("blob", "blob", "blob"), "{encoding}");
            assert_eq!(types.2 % 16, 0, "{encoding}");
            let store = idem_runtime::SqliteStore::open(home.path().join("ledger.db")).await.unwrap();
            let key = idem_runtime::store::Key::of("a").unwrap();
            let (entry, record) =
                idem_runtime::IdempotencyStore::admin(&store).unwrap().get(BOOK, &key).await.unwrap().unwrap();
            assert!(record.is_some() && entry.row.attempt >= 1, "{encoding}");
        }
    }
}
