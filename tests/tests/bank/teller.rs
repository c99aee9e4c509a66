//! The handlers and their caller, on one database: `super` says which.

use idem_runtime::protocol::State;
use idem_runtime::store::Key;
use idem_runtime::tx::commit;
use idem_runtime::{IdempotencyStore as _, Outcome, idempotent};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::{BEGIN, BEGIN_STRICT, Connection, FOR_UPDATE, SERIAL, Store, Tx, pool, store};
use crate::attempt::{Attempt, Begin, Point};
use crate::failure::Failed;
use crate::history::Kind;
use crate::ledger::{ACCOUNTS, Booking, Books, OPENING, Receipt, Transfer};
use crate::worker::{Bank, Mode};

/// Repeats an operator's request until it is answered. The library sends such a request once, and the store may still hold
/// connections to the server that was killed.
macro_rules! answered {
    ($ask:expr) => {
        loop {
            match $ask.await {
                Err(error) if error.is_unanswered() => tokio::task::yield_now().await,
                answer => break answer.unwrap(),
            }
        }
    };
}

/// The bank on this database.
pub(crate) struct Desk {
    pool: super::Pool,
    store: Option<Store>,
}

#[idempotent(key = "attempt.transfer.id", tx = "tx")]
async fn book(tx: &mut Tx<'_>, attempt: &Attempt<'_>) -> Result<Outcome<Receipt>, Failed> {
    Ok(write(tx, attempt).await?.into())
}

/// The same in lease mode, with a transaction that the body begins and commits.
#[idempotent(key = "attempt.transfer.id", store = "desk.store()", lease = "1s", wait = "1s")]
async fn book_under_lease(desk: &Desk, attempt: &Attempt<'_>) -> Result<Outcome<Receipt>, Failed> {
    let mut tx = desk.begin(attempt.begin).await?;
    let receipt = write(&mut tx, attempt).await?;
    attempt.note(Kind::Commits, &"-");
    tx.commit().await?;
    attempt.may_die(Point::Unrecorded);
    Ok(receipt.into())
}

/// The scope of the keys.
fn scope(mode: Mode) -> &'static str {
    match mode {
        Mode::Tx => concat!(module_path!(), "::book"),
        Mode::Lease => concat!(module_path!(), "::book_under_lease"),
    }
}

/// The body of both handlers. It doesn't check for duplicates.
async fn write(tx: &mut Connection, attempt: &Attempt<'_>) -> Result<Receipt, Failed> {
    attempt.note(Kind::Begins, &"-");
    let Transfer { id, payer, payee, amount } = attempt.transfer;
    let execution = &attempt.execution;
    // Locks the payer's account first, so that two transfers can deadlock.
    let payer_balance = balance(tx, payer).await? - amount;
    let payee_balance = balance(tx, payee).await? + amount;
    set_balance(tx, payer, payer_balance).await?;
    attempt.may_die(Point::Writing);
    set_balance(tx, payee, payee_balance).await?;
    let booked = format!(
        "INSERT INTO bookings (transfer, execution, payer, payee, amount, payer_balance, payee_balance) \
         VALUES ({id}, '{execution}', {payer}, {payee}, {amount}, {payer_balance}, {payee_balance}) RETURNING id"
    );
    let booking = number(tx, booked).await?;
    attempt.may_die(Point::Written);
    Ok(Receipt { booking, transfer: id, execution: execution.clone(), payer_balance, payee_balance })
}

async fn balance(tx: &mut Connection, account: u64) -> Result<i64, Failed> {
    number(tx, format!("SELECT balance FROM accounts WHERE id = {account}{FOR_UPDATE}")).await
}

async fn set_balance(tx: &mut Connection, account: u64, balance: i64) -> Result<(), Failed> {
    run(tx, format!("UPDATE accounts SET balance = {balance} WHERE id = {account}")).await
}

async fn number(tx: &mut Connection, sql: String) -> Result<i64, Failed> {
    Ok(tx.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await?.try_get(0)?)
}

async fn run(tx: &mut Connection, sql: String) -> Result<(), Failed> {
    tx.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    Ok(())
}

impl Desk {
    fn store(&self) -> &Store {
        self.store.as_ref().expect("opened with a store")
    }

    async fn begin(&self, begin: Begin) -> Result<Tx<'static>, Failed> {
        let begins = if begin == Begin::Strict { BEGIN_STRICT } else { BEGIN };
        let mut tx = self.pool.begin_with(begins).await?;
        if begin != Begin::Usual {
            audit(&mut tx).await?;
        }
        Ok(tx)
    }
}

/// Asserts that the sum of all balances is what it was at the beginning.
async fn audit(tx: &mut Connection) -> Result<(), Failed> {
    let rows = tx.fetch_all(sqlx::raw_sql("SELECT balance FROM accounts")).await?;
    let sum: i64 = rows.iter().map(|row| row.get::<i64, _>(0)).sum();
    assert_eq!(sum, ACCOUNTS as i64 * OPENING);
    Ok(())
}

impl Bank for Desk {
    const NAME: &'static str = super::NAME;

    async fn open(url: &str, mode: Mode) -> Self {
        let pool = pool(url);
        let store = match mode {
            Mode::Tx => None,
            Mode::Lease => loop {
                // The pool waits for the server.
                if let Ok(store) = store(url, &pool).await {
                    break Some(store);
                }
            },
        };
        Self { pool, store }
    }

    async fn found(&self) {
        let mut accounts = format!(
            "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL); \
             CREATE TABLE bookings (id {SERIAL}, transfer bigint NOT NULL, execution varchar(40) NOT NULL, \
             payer bigint NOT NULL, payee bigint NOT NULL, amount bigint NOT NULL, \
             payer_balance bigint NOT NULL, payee_balance bigint NOT NULL);"
        );
        for account in 0..ACCOUNTS {
            accounts += &format!("INSERT INTO accounts (id, balance) VALUES ({account}, {OPENING});");
        }
        self.pool.execute(sqlx::raw_sql(AssertSqlSafe(accounts))).await.unwrap();
    }

    async fn deliver(&self, attempt: &Attempt<'_>, mode: Mode) -> Result<Outcome<Receipt>, Failed> {
        if mode == Mode::Lease {
            let outcome = book_under_lease(self, attempt).await?;
            if let Outcome::Executed(_) = outcome {
                attempt.note(Kind::Recorded, &"-");
            }
            return Ok(outcome);
        }
        let mut tx = self.begin(attempt.begin).await?;
        let outcome = match book(&mut tx, attempt).await {
            Ok(outcome) => outcome,
            Err(failed) => {
                // If the rollback fails, the connection is lost, and the server rolls the transaction back.
                drop(tx.rollback().await);
                return Err(failed);
            }
        };
        if let Outcome::Replayed(_) = outcome {
            commit(tx).await?;
            return Ok(outcome);
        }
        attempt.may_die(Point::Uncommitted);
        attempt.note(Kind::Commits, &"-");
        commit(tx).await?;
        attempt.note(Kind::Recorded, &"-");
        Ok(outcome)
    }

    async fn books(&self) -> Books {
        let balances = sqlx::query_scalar("SELECT balance FROM accounts ORDER BY id");
        let balances = balances.fetch_all(&self.pool).await.unwrap();
        let bookings =
            "SELECT transfer, payer, payee, amount, id, execution, payer_balance, payee_balance FROM bookings";
        let bookings = self.pool.fetch_all(sqlx::query(bookings)).await.unwrap();
        let bookings = bookings.iter().map(|row| {
            let number = |column| row.get::<i64, _>(column);
            let natural = |column| u64::try_from(number(column)).unwrap();
            Booking {
                made: Transfer { id: natural(0), payer: natural(1), payee: natural(2), amount: number(3) },
                receipt: Receipt {
                    booking: number(4),
                    transfer: natural(0),
                    execution: row.get(5),
                    payer_balance: number(6),
                    payee_balance: number(7),
                },
            }
        });
        Books { balances, bookings: bookings.collect() }
    }

    async fn is_recorded(&self, transfer: u64, mode: Mode) -> bool {
        let key = Key::of(&transfer).unwrap();
        let found = answered!(self.store().admin().unwrap().get(scope(mode), &key));
        found.is_some_and(|(entry, record)| entry.row.state == State::Done && record.is_some())
    }

    async fn keys(&self) -> (u64, u64) {
        let stats = answered!(self.store().admin().unwrap().stats());
        (stats.completed, stats.running + stats.orphaned + stats.free)
    }
}
