//! The number of statements that a call sends, counted by the server.

use idem_runtime::{Outcome, idempotent};
use sqlx::{Connection as _, PgConnection};

use super::support::{Failed, mariadb, postgres};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r26_postgresql_is_asked_twice_for_a_first_execution_and_once_for_a_duplicate() {
    use postgres::{Bench, Tx, effect};

    #[idempotent(key = "id", tx = "tx")]
    async fn book_on_postgres(tx: &mut Tx<'_>, id: &str) -> Result<Outcome<()>, Failed> {
        effect(tx, id).await?;
        Ok(().into())
    }

    let bench = Bench::new().await;
    bench.execute("ALTER SYSTEM SET log_statement = 'all'".to_owned()).await;
    bench.execute("SELECT pg_reload_conf()".to_owned()).await;
    // Each connection reads the new setting before its next statement.
    bench.pool.close().await;
    let mut connection = PgConnection::connect(&bench.url).await.unwrap();
    let asked = || {
        let log = std::fs::read_to_string(bench.home.directory().join("log")).unwrap();
        let statements =
            log.split("LOG:  ").filter(|entry| entry.starts_with("execute ") || entry.starts_with("statement: "));
        let (ours, others): (Vec<_>, Vec<_>) = statements.partition(|statement| statement.contains("idem_keys"));
        (ours.len(), others.len())
    };
    let mut counted = async |id| {
        let (ours, others) = asked();
        let mut tx = connection.begin().await.unwrap();
        let outcome = book_on_postgres(&mut tx, id).await;
        // A transaction gets an id with its first write, so a replay without an id has written nothing.
        let assigned: Option<String> =
            sqlx::query_scalar("SELECT pg_current_xact_id_if_assigned()::text").fetch_one(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let (ours_now, others_now) = asked();
        (outcome.unwrap(), ours_now - ours, others_now - others, assigned.is_some())
    };
    for id in ["a", "b"] {
        // The others are BEGIN, the effect, the query for the transaction's id, and COMMIT.
        assert_eq!(counted(id).await, (Outcome::Executed(()), 2, 4, true));
        assert_eq!(counted(id).await, (Outcome::Replayed(()), 1, 3, false));
    }
}

/// How many rows the session has updated.
async fn changed(tx: &mut mariadb::Tx<'_>) -> i64 {
    let sql = "SELECT CAST(variable_value AS SIGNED) FROM information_schema.session_status \
               WHERE variable_name = 'Handler_update'";
    sqlx::query_scalar(sql).fetch_one(&mut **tx).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r26_mariadb_is_asked_three_times_for_a_first_execution_and_twice_for_a_duplicate() {
    use mariadb::{Bench, Tx, effect};

    #[idempotent(key = "id", tx = "tx")]
    async fn book_on_mariadb(tx: &mut Tx<'_>, id: &str) -> Result<Outcome<()>, Failed> {
        effect(tx, id).await?;
        Ok(().into())
    }

    let bench = Bench::new().await;
    bench.execute("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON".to_owned()).await;
    let asked = async || {
        let sql = "SELECT count(*) FROM mysql.general_log WHERE command_type IN ('Execute', 'Query') \
                   AND argument LIKE '%idem_keys%' AND argument NOT LIKE '%general_log%'";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&bench.pool).await.unwrap()
    };
    let counted = async |id| {
        let before = asked().await;
        let mut tx = bench.begin().await;
        let changed = changed(&mut tx).await;
        let outcome = book_on_mariadb(&mut tx, id).await.unwrap();
        let changed = self::changed(&mut tx).await - changed;
        tx.commit().await.unwrap();
        (outcome, asked().await - before, changed)
    };
    for id in ["a", "b"] {
        assert_eq!(counted(id).await, (Outcome::Executed(()), 3, 1));
        assert_eq!(counted(id).await, (Outcome::Replayed(()), 2, 0));
    }
}
