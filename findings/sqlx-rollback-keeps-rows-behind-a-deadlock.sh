#!/usr/bin/env bash
# sqlx on MariaDB: at a deadlock, InnoDB rolls back the whole transaction of the victim, with its savepoints. If the victim is in a nested
# sqlx::Transaction, the rollback of the nested one fails with error 1305 (no such savepoint). The next statement, whatever it is,
# fails with the same error, because sqlx sends the rollback once more when the nested one is dropped. After that, the outer
# transaction seems to be open: but each statement in it is committed by itself, and after a `rollback()` that is Ok, the rows are
# still in the table.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
mariadb_server

program 'sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "mysql", "postgres"] }
tokio = { version = "=1.49.0", features = ["macros", "rt-multi-thread", "sync", "time"] }' <<'RS'
use sqlx::{ConnectOptions, Connection, mysql::{MySqlConnectOptions, MySqlDatabaseError}};

fn number(error: sqlx::Error) -> u16 {
    error.into_database_error().unwrap().downcast::<MySqlDatabaseError>().number()
}

#[tokio::main]
async fn main() -> Result<(), sqlx::Error> {
    let options = std::env::args().nth(1).unwrap().parse::<MySqlConnectOptions>()?;
    let mut other = options.connect().await?;
    sqlx::raw_sql("CREATE TABLE account (id INT PRIMARY KEY, cents INT); CREATE TABLE entry (id INT PRIMARY KEY);
        INSERT INTO account VALUES (1, 0), (2, 0)").execute(&mut other).await?;
    let mut one = options.connect().await?;

    // The other has changed more rows, so that it is not the victim.
    let mut heavy = other.begin().await?;
    for id in 100..150 {
        sqlx::query("INSERT INTO entry VALUES (?)").bind(id).execute(&mut *heavy).await?;
    }
    sqlx::query("UPDATE account SET cents = 1 WHERE id = 2").execute(&mut *heavy).await?;

    let mut tx = one.begin().await?;
    sqlx::query("UPDATE account SET cents = 1 WHERE id = 1").execute(&mut *tx).await?;
    let waiting = async {
        sqlx::query("UPDATE account SET cents = 2 WHERE id = 1").execute(&mut *heavy).await?;
        heavy.rollback().await
    };
    let mut watch = options.connect().await?;
    let victim = async {
        let count = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
        while sqlx::query_scalar::<_, i64>(count).fetch_one(&mut watch).await? == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let mut nested = tx.begin().await?;
        let met = sqlx::query("UPDATE account SET cents = 3 WHERE id = 2").execute(&mut *nested).await;
        let undone = nested.rollback().await;
        Ok::<_, sqlx::Error>([met.map(drop), undone].map(|result| result.map_err(number).unwrap_err()))
    };
    let (waited, met) = tokio::join!(waiting, victim);
    waited?;
    let [met, undone] = met?;

    let insert = "INSERT INTO entry VALUES (1)";
    let first = sqlx::query(insert).execute(&mut *tx).await.map_err(number).unwrap_err();
    sqlx::query(insert).execute(&mut *tx).await?;
    let rolled_back = tx.rollback().await;
    let kept: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM entry").fetch_one(&mut watch).await?;
    println!("deadlock {met}, rollback of the nested one {undone}, the next statement {first}, repeated Ok, rollback {rolled_back:?}, rows kept {kept}");
    Ok(())
}
RS
out=$("$work/program" "mysql://root@127.0.0.1:$mariadb/test")
said "sqlx 0.9.0, $(mariadbd --version)"
said "$out"
expect "$out" "deadlock 1213, rollback of the nested one 1305, the next statement 1305, repeated Ok, rollback Ok(()), rows kept 1"
