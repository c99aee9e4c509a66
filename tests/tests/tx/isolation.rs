//! Isolation levels: what happens at each to two transactions with the same key.

use idem_runtime::{Error, Outcome, idempotent};
use sqlx::Executor as _;

use super::support::{Failed, mariadb, postgres, sqlite};

/// The handlers of this file, for each database.
macro_rules! handlers {
    ($database:ident) => {
        use $database::{Bench, Tx, begin, book, effect};

        /// Reads, so that the transaction sees the tables as they are now.
        async fn look(tx: &mut Tx<'_>) {
            (&mut **tx).fetch_one("SELECT version FROM idem_keys_schema").await.unwrap();
        }

        /// A transaction reads, another one books and commits, and then the first books with the same key.
        async fn behind(bench: &Bench, start: &str) -> Result<Outcome<u64>, Failed> {
            let mut second = begin(bench, start).await;
            look(&mut second).await;
            let mut first = begin(bench, start).await;
            assert_eq!(book(&mut first, "behind", 1).await.unwrap(), Outcome::Executed(1));
            first.commit().await.unwrap();
            let outcome = book(&mut second, "behind", 2).await;
            match outcome {
                Ok(_) => second.commit().await.unwrap(),
                Err(_) => second.rollback().await.unwrap(),
            }
            outcome
        }

        /// A transaction reads, and books with the key of another that is still open. Then the other commits.
        #[allow(dead_code, reason = "SQLite doesn't wait then")]
        async fn beside(bench: &Bench, start: &str) -> Result<Outcome<u64>, Failed> {
            let mut second = begin(bench, start).await;
            look(&mut second).await;
            let mut first = begin(bench, start).await;
            assert_eq!(book(&mut first, "beside", 1).await.unwrap(), Outcome::Executed(1));
            let waits = async {
                let outcome = book(&mut second, "beside", 2).await;
                match outcome {
                    Ok(_) => second.commit().await.unwrap(),
                    Err(_) => second.rollback().await.unwrap(),
                }
                outcome
            };
            let commits = async {
                bench.someone_waits().await;
                first.commit().await.unwrap();
            };
            tokio::join!(waits, commits).0
        }

        /// Runs the whole transaction again: it replays.
        async fn again(bench: &Bench, start: &str, id: &str) {
            let mut tx = begin(bench, start).await;
            look(&mut tx).await;
            assert_eq!(book(&mut tx, id, 3).await.unwrap(), Outcome::Replayed(1));
            effect(&mut tx, "after").await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(bench.effects(id).await, 1);
        }

        /// Two transactions take two keys in opposite orders.
        #[allow(dead_code, reason = "SQLite has one lock")]
        async fn crossed(bench: &Bench, start: &str) {
            let (mut a, mut b) = (begin(bench, start).await, begin(bench, start).await);
            book(&mut a, "x", 1).await.unwrap();
            book(&mut b, "y", 1).await.unwrap();
            let (of_a, of_b) = tokio::join!(book(&mut a, "y", 2), book(&mut b, "x", 2));
            let (winner, of_winner, loser, of_loser) =
                if of_a.is_ok() { (a, of_a, b, of_b) } else { (b, of_b, a, of_a) };
            conflicts(of_loser);
            loser.rollback().await.unwrap();
            assert_eq!(of_winner.unwrap(), Outcome::Executed(2));
            winner.commit().await.unwrap();
            let mut tx = begin(bench, start).await;
            for id in ["x", "y"] {
                assert!(matches!(book(&mut tx, id, 3).await.unwrap(), Outcome::Replayed(_)));
            }
            tx.commit().await.unwrap();
            assert_eq!((bench.effects("x").await, bench.effects("y").await), (1, 1));
        }
    };
}

/// Asserts that the call was refused before its body ran, because of an error of the database's, and that the message says what to
/// do.
#[track_caller]
fn conflicts(outcome: Result<Outcome<u64>, Failed>) {
    let error = outcome.expect_err("a conflict").refusal();
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
    assert!(error.is_retryable() && !error.executed());
    assert!(error.to_string().contains("roll back and try again, the whole transaction"), "{error}");
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        if error.is::<sqlx::Error>() {
            return;
        }
        source = error.source();
    }
    panic!("the driver's own error is not among the sources of {error:?}");
}

mod on_postgres {
    use super::*;

    handlers!(postgres);

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts PostgreSQL: run by tests/run"]
    async fn r23_at_read_committed_a_duplicate_waits_and_replays() {
        let bench = Bench::new().await;
        assert_eq!(behind(&bench, "BEGIN").await.unwrap(), Outcome::Replayed(1));
        assert_eq!(beside(&bench, "BEGIN").await.unwrap(), Outcome::Replayed(1));
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts PostgreSQL: run by tests/run"]
    async fn r23_at_stricter_levels_a_duplicate_conflicts_and_replays_when_it_is_run_again() {
        let bench = Bench::new().await;
        for level in ["REPEATABLE READ", "SERIALIZABLE"] {
            let start = format!("BEGIN ISOLATION LEVEL {level}");
            conflicts(behind(&bench, &start).await);
            again(&bench, &start, "behind").await;
            conflicts(beside(&bench, &start).await);
            again(&bench, &start, "beside").await;
            bench.execute("DELETE FROM idem_keys; DELETE FROM effects".to_owned()).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts PostgreSQL: run by tests/run"]
    async fn r23_a_deadlock_is_a_conflict() {
        let bench = Bench::new().await;
        crossed(&bench, "BEGIN").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts PostgreSQL: run by tests/run"]
    async fn r23_a_lock_that_is_not_waited_for_any_longer_is_a_conflict() {
        let bench = Bench::new().await;
        let mut first = begin(&bench, "BEGIN").await;
        book(&mut first, "a", 1).await.unwrap();
        let mut second = begin(&bench, "BEGIN; SET LOCAL lock_timeout = '20ms'").await;
        conflicts(book(&mut second, "a", 2).await);
    }
}

mod on_mariadb {
    use super::*;

    handlers!(mariadb);

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn r23_at_every_level_a_duplicate_waits_and_replays_though_its_snapshot_is_older() {
        let bench = Bench::new().await;
        for level in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
            let start = format!("SET TRANSACTION ISOLATION LEVEL {level}; BEGIN");
            assert_eq!(behind(&bench, &start).await.unwrap(), Outcome::Replayed(1), "{level}");
            again(&bench, &start, "behind").await;
            assert_eq!(beside(&bench, &start).await.unwrap(), Outcome::Replayed(1), "{level}");
            again(&bench, &start, "beside").await;
            bench.execute("DELETE FROM idem_keys; DELETE FROM effects".to_owned()).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn r23_where_a_snapshot_is_never_left_a_duplicate_conflicts_and_replays_when_it_is_run_again() {
        let bench = Bench::new().await;
        let start = "SET SESSION innodb_snapshot_isolation = ON; BEGIN";
        conflicts(behind(&bench, start).await);
        again(&bench, start, "behind").await;
        conflicts(beside(&bench, start).await);
        again(&bench, start, "beside").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn r23_a_deadlock_is_a_conflict() {
        let bench = Bench::new().await;
        crossed(&bench, "BEGIN").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn r23_a_lock_that_is_not_waited_for_any_longer_is_a_conflict() {
        let bench = Bench::new().await;
        let mut first = begin(&bench, "BEGIN").await;
        book(&mut first, "a", 1).await.unwrap();
        let mut second = begin(&bench, "SET SESSION innodb_lock_wait_timeout = 1; BEGIN").await;
        conflicts(book(&mut second, "a", 2).await);
    }

    /// Each of these modes changes the meaning of some statements.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn any_sql_mode_will_do() {
        #[idempotent(key = "id", tx = "tx", ttl = "2s", fingerprint = "amount")]
        async fn book_for_a_moment(tx: &mut Tx<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failed> {
            effect(tx, id).await?;
            Ok(amount.into())
        }

        let bench = Bench::new().await;
        let modes = [
            "",
            "SIMULTANEOUS_ASSIGNMENT",
            "EMPTY_STRING_IS_NULL",
            "ORACLE",
            "ANSI,TRADITIONAL,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,HIGH_NOT_PRECEDENCE,NO_UNSIGNED_SUBTRACTION,\
             TIME_ROUND_FRACTIONAL,IGNORE_SPACE",
        ];
        for (nth, mode) in modes.iter().enumerate() {
            let start = format!("SET SESSION sql_mode = '{mode}'; START TRANSACTION");
            let id = format!("mode-{nth}");
            let mut tx = begin(&bench, &start).await;
            assert_eq!(book(&mut tx, &id, 1).await.unwrap(), Outcome::Executed(1), "{mode}");
            assert_eq!(book(&mut tx, &id, 2).await.unwrap(), Outcome::Replayed(1), "{mode}");
            assert_eq!(book_for_a_moment(&mut tx, &id, 1).await.unwrap(), Outcome::Executed(1), "{mode}");
            let error = book_for_a_moment(&mut tx, &id, 2).await.unwrap_err().refusal();
            assert!(matches!(error, Error::KeyReused { .. }), "{mode}: {error:?}");
            tx.commit().await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        for (nth, mode) in modes.iter().enumerate() {
            let start = format!("SET SESSION sql_mode = '{mode}'; START TRANSACTION");
            let id = format!("mode-{nth}");
            let mut tx = begin(&bench, &start).await;
            assert_eq!(book_for_a_moment(&mut tx, &id, 2).await.unwrap(), Outcome::Executed(2), "{mode}");
            assert_eq!(book_for_a_moment(&mut tx, &id, 2).await.unwrap(), Outcome::Replayed(2), "{mode}");
            tx.commit().await.unwrap();
        }
        let rows = "SELECT attempt, previous, length(ended) FROM idem_keys WHERE scope LIKE '%for_a_moment'";
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(rows).fetch_all(&bench.pool).await.unwrap();
        assert_eq!(rows, vec![(1, 1, 16); modes.len()]);
    }
}

mod on_sqlite {
    use super::*;

    handlers!(sqlite);

    #[tokio::test(flavor = "multi_thread")]
    async fn r23_a_deferred_transaction_that_has_read_conflicts_and_replays_when_it_is_run_again() {
        let bench = Bench::new().await;
        conflicts(behind(&bench, "BEGIN DEFERRED").await);
        again(&bench, "BEGIN DEFERRED", "behind").await;
        again(&bench, "BEGIN IMMEDIATE", "behind").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r23_a_deferred_transaction_that_has_not_read_waits_and_replays() {
        let bench = Bench::new().await;
        let mut first = begin(&bench, "BEGIN DEFERRED").await;
        book(&mut first, "a", 1).await.unwrap();
        let mut second = begin(&bench, "BEGIN DEFERRED").await;
        let commit = async {
            bench.someone_waits().await;
            first.commit().await.unwrap();
        };
        let (outcome, ()) = tokio::join!(book(&mut second, "a", 2), commit);
        assert_eq!(outcome.unwrap(), Outcome::Replayed(1));
        effect(&mut second, "after").await.unwrap();
        second.commit().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn r23_with_a_rollback_journal_too() {
        let mut bench = Bench::new().await;
        bench.pool.close().await;
        bench.pool = sqlx::pool::PoolOptions::new().connect(&bench.url.replace("rwc", "rw")).await.unwrap();
        bench.execute("PRAGMA journal_mode = DELETE".to_owned()).await;
        let mut second = begin(&bench, "BEGIN DEFERRED").await;
        look(&mut second).await;
        let mut first = begin(&bench, "BEGIN IMMEDIATE").await;
        book(&mut first, "a", 1).await.unwrap();
        conflicts(book(&mut second, "a", 2).await);
        second.rollback().await.unwrap();
        first.commit().await.unwrap();
        again(&bench, "BEGIN IMMEDIATE", "a").await;
    }
}
