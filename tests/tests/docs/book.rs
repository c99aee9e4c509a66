//! What the book shows of handlers and stores, where no other file has it.

#![expect(dead_code, reason = "it is shown, and not run")]

use idem_runtime::tx::Database;
use idem_runtime::{Error, PostgresStore, idempotent, run_once, tx};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

struct Order {
    id: String,
    cents: i64,
}

#[derive(Serialize, Deserialize)]
struct Receipt {
    cents: i64,
}

enum BillingError {
    Database(sqlx::Error),
    Idempotency(Error),
}

impl From<sqlx::Error> for BillingError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for BillingError {
    fn from(error: Error) -> Self {
        Self::Idempotency(error)
    }
}

#[idempotent(key = "order_id", scope = "billing/charge", tx = "tx")]
async fn charge(tx: &mut sqlx::PgTransaction<'_>, order_id: &str, cents: i64) -> Result<Receipt, BillingError> {
    let booked = "INSERT INTO charges (order_id, cents) VALUES ($1, $2)";
    sqlx::query(booked).bind(order_id).bind(cents).execute(&mut **tx).await?;
    Ok(Receipt { cents })
}

async fn handle(pool: &PgPool, order: &Order) -> Result<Receipt, BillingError> {
    let mut tx = pool.begin().await?;
    let receipt = charge(&mut tx, &order.id, order.cents).await?;
    tx::commit(tx).await?; // an error where the server rolled back
    Ok(receipt)
}

/// A key that is made in the body.
mod blocks {
    use super::{BillingError, Error, PgPool, Receipt, run_once, tx};

    #[derive(serde::Deserialize)]
    struct Order {
        id: String,
        cents: i64,
    }

    type Failure = Box<dyn std::error::Error + Send + Sync>;

    async fn charge(order: &Order) -> Result<Receipt, Error> {
        Ok(Receipt { cents: order.cents })
    }

    async fn typed(delivery: &[u8]) -> Result<Receipt, Failure> {
        let order: Order = serde_json::from_slice(delivery)?;
        let receipt = run_once!(key = order.id, scope = "orders/charge", async || -> Result<Receipt, Failure> {
            Ok(charge(&order).await?)
        })
        .await?;
        Ok(receipt)
    }

    async fn plain(delivery: &[u8]) -> Result<Receipt, Failure> {
        let order: Order = serde_json::from_slice(delivery)?;
        let charged = run_once!(key = order.id, fingerprint = order.cents, scope = "orders/charge-all", async {
            charge(&order).await
        });
        let receipt = charged.await?;
        Ok(receipt)
    }

    async fn booked(pool: PgPool, order: Order) -> Result<i64, BillingError> {
        let mut tx = pool.begin().await?;
        let booked =
            run_once!(tx = &mut tx, key = order.id, scope = "billing/book", async || -> Result<i64, BillingError> {
                let booked = "INSERT INTO charges (order_id, cents) VALUES ($1, $2)";
                sqlx::query(booked).bind(&order.id).bind(order.cents).execute(&mut *tx).await?;
                Ok(order.cents)
            });
        let cents = booked.await?;
        tx::commit(tx).await?;
        Ok(cents)
    }
}

/// Over HTTP.
mod http {
    use tokio_util::task::TaskTracker;

    use super::{Error, idempotent};

    #[idempotent(key = "order_id")]
    async fn charge(order_id: String, cents: u64) -> Result<u64, Error> {
        drop(order_id);
        Ok(cents)
    }

    async fn post_charge(
        running: TaskTracker,
        order_id: String,
        cents: u64,
    ) -> Result<u64, Box<dyn std::error::Error>> {
        let receipt = running.spawn(charge(order_id, cents)).await??;
        Ok(receipt)
    }

    async fn end(running: TaskTracker) {
        running.close();
        running.wait().await;
    }
}

async fn open() -> Result<(), Error> {
    let store = idem_runtime::connect("postgres://app@db.example/app").await?;
    idem_runtime::install(store.clone())?;
    Ok(())
}

async fn open_named() -> Result<(), Error> {
    let store = PostgresStore::options().table("order_keys").open("postgres://app@db.example/app").await?;
    let same = idem_runtime::connect("postgres://app@db.example/app?table=order_keys").await?;
    idem_runtime::tx::use_table("order_keys")?; // for tx mode: once a process, before its first call
    let migration = idem_runtime::tx::schema_named(Database::Postgres, "order_keys")?;
    drop((store, same, migration));
    Ok(())
}
