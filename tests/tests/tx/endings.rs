//! Ways in which a transaction ends that only one of the databases has.

use idem_runtime::{Error, Outcome, tx};
use sqlx::{Connection as _, Executor as _};

use super::support::{mariadb, postgres, sqlite};

mod on_postgres {
    use postgres::{BOOK, Bench, begin, book};

    use super::*;

    /// The commit is refused, though no other transaction is in conflict.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts PostgreSQL: run by tests/run"]
    async fn r22_a_commit_that_a_deferred_constraint_refuses_is_a_conflict_that_names_it() {
        let bench = Bench::new().await;
        let tables = "CREATE TABLE parents (id int PRIMARY KEY); \
                      CREATE TABLE children (parent int REFERENCES parents DEFERRABLE INITIALLY DEFERRED)";
        bench.execute(tables.to_owned()).await;
        let mut tx = bench.begin().await;
        book(&mut tx, "a", 1).await.unwrap();
        tx.execute("INSERT INTO children VALUES (7)").await.unwrap();
        let error = tx::commit(tx).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { key: None, .. }) && error.executed(), "{error:?}");
        assert!(error.to_string().contains("children_parent_fkey"), "{error}");
        assert_eq!((bench.effects("a").await, bench.rows(BOOK).await), (0, 0));
    }

    /// Each of two transactions reads what the other one writes.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts PostgreSQL: run by tests/run"]
    async fn r22_a_commit_that_can_not_be_serialized_is_a_conflict() {
        let bench = Bench::new().await;
        let start = "BEGIN ISOLATION LEVEL SERIALIZABLE";
        let (mut one, mut other) = (begin(&bench, start).await, begin(&bench, start).await);
        for (tx, id) in [(&mut one, "a"), (&mut other, "b")] {
            tx.execute("SELECT count(*) FROM effects").await.unwrap();
            book(tx, id, 1).await.unwrap();
        }
        tx::commit(one).await.unwrap();
        let error = tx::commit(other).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { key: None, .. }) && error.is_retryable(), "{error:?}");
        assert_eq!((bench.effects("a").await, bench.effects("b").await), (1, 0));
    }
}

mod on_mariadb {
    use mariadb::{BOOK, Bench, book};

    use super::*;

    /// Without autocommit, the first statement after a deadlock begins a new transaction. Its commit would succeed, though
    /// everything before the deadlock was rolled back.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn r22_a_session_without_autocommit_is_refused() {
        let bench = Bench::new().await;
        let mut tx = bench.begin().await;
        tx.execute("SET autocommit = 0").await.unwrap();
        let error = book(&mut tx, "a", 1).await.unwrap_err().refusal();
        assert!(matches!(error, Error::Config { .. }) && error.to_string().contains("autocommit = 1"), "{error}");
        tx.rollback().await.unwrap();
        assert_eq!((bench.effects("a").await, bench.rows(BOOK).await), (0, 0));
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn r22_a_handler_whose_transaction_was_gone_before_it_is_refused() {
        let bench = Bench::new().await;
        let mut tx = bench.begin().await;
        book(&mut tx, "a", 1).await.unwrap();
        bench.undo(async |sql| (&mut *tx).execute(sql).await.is_ok()).await;
        let error = book(&mut tx, "b", 1).await.unwrap_err().refusal();
        assert!(matches!(error, Error::NotInTransaction { .. }) && !error.executed(), "{error:?}");
        drop(tx);
        assert_eq!((bench.effects("a").await, bench.effects("b").await), (0, 0));
        let mut tx = bench.begin().await;
        for id in ["a", "b"] {
            assert_eq!(book(&mut tx, id, 2).await.unwrap(), Outcome::Executed(2));
        }
        tx::commit(tx).await.unwrap();
        assert_eq!(bench.rows(BOOK).await, 2);
    }

    /// A deadlock rolls back everything, also what was written before a savepoint. The savepoint doesn't exist any more.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn r22_a_commit_behind_a_deadlock_in_a_savepoint_is_an_error() {
        let bench = Bench::new().await;
        let mut tx = bench.begin().await;
        book(&mut tx, "a", 1).await.unwrap();
        let mut savepoint = tx.begin().await.unwrap();
        bench.undo(async |sql| (&mut *savepoint).execute(sql).await.is_ok()).await;
        assert!(savepoint.rollback().await.unwrap_err().to_string().contains("1305"));
        // When the savepoint is dropped, sqlx rolls back to it once more, and the next statement gets the error of that.
        assert!((&mut *tx).execute("SELECT 1").await.unwrap_err().to_string().contains("1305"));
        let error = tx::commit(tx).await.unwrap_err();
        assert!(matches!(error, Error::TransactionLost { key: None, .. }), "{error:?}");
        assert_eq!((bench.effects("a").await, bench.rows(BOOK).await), (0, 0));
    }
}

mod on_sqlite {
    use sqlite::{BOOK, Bench, book};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn r22_a_commit_that_a_deferred_constraint_refuses_is_a_conflict_that_names_it() {
        let bench = Bench::new().await;
        let tables = "CREATE TABLE parents (id INTEGER PRIMARY KEY); \
                      CREATE TABLE children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)";
        bench.execute(tables.to_owned()).await;
        let mut tx = bench.begin().await;
        book(&mut tx, "a", 1).await.unwrap();
        tx.execute("INSERT INTO children VALUES (7)").await.unwrap();
        let error = tx::commit(tx).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { key: None, .. }) && error.executed(), "{error:?}");
        assert!(error.to_string().contains("FOREIGN KEY"), "{error}");
        assert_eq!((bench.effects("a").await, bench.rows(BOOK).await), (0, 0));
    }

    /// Without a write-ahead log, a commit has to wait for readers.
    #[tokio::test(flavor = "multi_thread")]
    async fn r22_a_commit_that_finds_the_file_busy_is_a_conflict_and_can_be_run_again() {
        let mut bench = Bench::new().await;
        bench.pool.close().await;
        bench.pool = sqlx::pool::PoolOptions::new().connect(&bench.url.replace("rwc", "rw")).await.unwrap();
        bench.execute("PRAGMA journal_mode = DELETE".to_owned()).await;
        let mut reader = bench.pool.begin().await.unwrap();
        reader.execute("SELECT count(*) FROM effects").await.unwrap();
        let mut tx = bench.begin().await;
        tx.execute("PRAGMA busy_timeout = 0").await.unwrap();
        book(&mut tx, "a", 1).await.unwrap();
        let error = tx::commit(tx).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { key: None, .. }) && error.is_retryable(), "{error:?}");
        reader.rollback().await.unwrap();
        let mut tx = bench.begin().await;
        assert_eq!(book(&mut tx, "a", 2).await.unwrap(), Outcome::Executed(2));
        tx::commit(tx).await.unwrap();
        assert_eq!(bench.effects("a").await, 1);
    }
}
