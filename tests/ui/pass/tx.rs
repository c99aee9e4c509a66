//! Handlers in tx mode, of every kind, without a warning.

#![deny(warnings, clippy::all)]

use idem_runtime::tx::{BlockingTransaction, Transaction};
use idem_runtime::{Error, Outcome, idempotent};
use sqlx::PgTransaction;

#[idempotent(key = "id", tx = "tx")]
async fn on_one_line(tx: &mut PgTransaction<'_>, id: u64) -> Result<u64, sqlx_error::Error> { note(tx).await?; Ok(id) }

#[idempotent(key = "id", tx = "tx")]
fn on_one_line_blocking(tx: &rusqlite::Transaction<'_>, id: u64) -> Result<bool, Error> { let _ = id; Ok(tx.is_autocommit()) }

/// Its body can lend it to one function after another, or replace it.
#[idempotent(key = "id", tx = "tx")]
async fn changed<'t>(mut tx: &'t mut PgTransaction<'static>, spare: &'t mut PgTransaction<'static>, id: u64) -> Result<u64, sqlx_error::Error> {
    note(tx).await?;
    tx = spare;
    note(tx).await?;
    Ok(id)
}

#[idempotent(key = "id, a", tx = "tx")]
async fn beside_patterns(tx: &mut PgTransaction<'_>, (a, _): (u64, u64), Order { id }: Order) -> Result<u64, sqlx_error::Error> {
    note(tx).await?;
    Ok(id + a)
}

#[idempotent(key = "id", tx = "tx", missing_key = "run", fingerprint = "amount", ttl = "30d")]
async fn with_all_it_takes(tx: &tokio_postgres::Transaction<'_>, id: Option<u64>, mut amount: u64) -> Result<Outcome<u64>, Error> {
    amount += id.unwrap_or_default() + u64::from(tx.client().is_closed());
    Ok(amount.into())
}

/// It has no effects: its own `_tx` says so, and else a warning would.
#[idempotent(key = "id", tx = "_tx")]
async fn only_for_the_record(_tx: &mut PgTransaction<'_>, id: u64) -> Result<(), Error> {
    Ok(())
}

#[idempotent(key = "id", tx = "tx", scope = "tx/generic")]
async fn generic<T: Transaction>(tx: &mut T, id: u64) -> Result<u64, Error> {
    let _ = tx.database();
    Ok(id)
}

#[idempotent(key = "id", tx = "tx", scope = "tx/generic-where")]
async fn generic_where<T>(tx: &T, id: u64) -> Result<u64, Error>
where
    for<'t> &'t T: Transaction,
{
    let _ = tx.database();
    Ok(id)
}

#[idempotent(key = "id", tx = "tx", scope = "tx/opaque")]
async fn opaque(tx: &mut impl Transaction, id: impl std::fmt::Display + idem_runtime::IdempotencyKey) -> Result<String, Error> {
    let _ = tx.database();
    Ok(id.to_string())
}

#[idempotent(key = "id", tx = "tx", scope = "tx/opaque-blocking")]
fn opaque_blocking(tx: &mut impl BlockingTransaction, id: u64) -> Result<u64, Error> {
    let _ = tx.database();
    Ok(id)
}

#[idempotent(key = "id", tx = "r#type")]
#[tracing::instrument(skip(r#type))]
async fn traced_below(r#type: &mut PgTransaction<'_>, id: u64) -> Result<u64, sqlx_error::Error> {
    note(r#type).await?;
    Ok(id)
}

#[tracing::instrument(skip(tx))]
#[idempotent(key = "id", tx = "tx")]
async fn traced_above(tx: &mut PgTransaction<'_>, id: u64) -> Result<u64, sqlx_error::Error> {
    note(tx).await?;
    Ok(id)
}

struct Order {
    id: u64,
}

struct Ledger {
    account: u64,
}

impl Ledger {
    #[idempotent(key = "self.account, id", tx = "tx", scope = "tx/method")]
    async fn book(&self, tx: &mut PgTransaction<'_>, id: u64) -> Result<u64, sqlx_error::Error> {
        note(tx).await?;
        Ok(self.account + id)
    }

    #[idempotent(key = "self.account, id", tx = "tx", scope = "tx/method-that-changes")]
    async fn change(&mut self, tx: &sea_orm::DatabaseTransaction, id: u64) -> Result<u64, Error> {
        let _ = tx;
        self.account += id;
        Ok(self.account)
    }

    #[idempotent(key = "id", tx = "tx", scope = "tx/method-by-value")]
    fn close(self, tx: &rusqlite::Savepoint<'_>, id: u64) -> Result<u64, Error> {
        Ok(self.account + id + u64::from(tx.is_autocommit()))
    }
}

#[async_trait::async_trait]
trait Handle {
    async fn handle(&self, tx: &mut PgTransaction<'_>, order: Order) -> Result<u64, sqlx_error::Error>;
}

#[async_trait::async_trait]
impl Handle for Ledger {
    #[idempotent(key = "self.account, id", tx = "tx", scope = "tx/async-trait")]
    async fn handle(&self, tx: &mut PgTransaction<'_>, Order { id }: Order) -> Result<u64, sqlx_error::Error> {
        note(tx).await?;
        Ok(self.account + id)
    }
}

/// Does the work that a handler does with a transaction.
async fn note(tx: &mut sqlx::PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT 1").execute(tx).await.map(drop)
}

mod sqlx_error {
    /// What a handler's own error is like.
    pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
}

/// So that it can be spawned.
fn sent<F: Future + Send>(future: F) {
    drop(future);
}

#[allow(clippy::too_many_arguments, dead_code)]
fn all_of_them(
    mut tx: PgTransaction<'static>,
    mut spare: PgTransaction<'static>,
    other: &tokio_postgres::Transaction<'_>,
    orm: &sea_orm::DatabaseTransaction,
    file: &rusqlite::Transaction<'_>,
    mut savepoint: rusqlite::Savepoint<'_>,
) {
    sent(on_one_line(&mut tx, 1));
    sent(changed(&mut tx, &mut spare, 1));
    sent(beside_patterns(&mut tx, (1, 2), Order { id: 1 }));
    sent(with_all_it_takes(other, Some(1), 1));
    sent(only_for_the_record(&mut tx, 1));
    sent(generic(&mut tx, 1));
    sent(generic_where(other, 1));
    sent(opaque(&mut tx, 1));
    sent(traced_below(&mut tx, 1));
    sent(traced_above(&mut tx, 1));
    let mut ledger = Ledger { account: 1 };
    sent(ledger.book(&mut tx, 1));
    sent(ledger.change(orm, 1));
    sent(ledger.handle(&mut tx, Order { id: 1 }));
    let _ = on_one_line_blocking(file, 1);
    let _ = opaque_blocking(&mut savepoint, 1);
    let _ = ledger.close(&savepoint, 1);
}
