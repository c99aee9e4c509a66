//! `run_once!` in each of its forms, without a warning, also of clippy's `pedantic` and `nursery`.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery)]

use idem_runtime::{Error, MemoryStore, Outcome, run_once};

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Order {
    id: String,
    cents: u64,
}

/// So that it can be spawned.
const fn sent<F: Future + Send>(future: F) -> F {
    future
}

async fn charge(order: &Order) -> Result<u64, Error> {
    tokio::task::yield_now().await;
    Ok(order.cents)
}

async fn plain(order: &Order) -> Result<u64, Error> {
    sent(run_once!(key = order.id, scope = "blocks/plain", async { charge(order).await })).await
}

async fn moving(order: Order) -> Result<Outcome<String>, Failure> {
    let future =
        run_once!(key = order.id, scope = "blocks/moving", async move || -> Result<Outcome<String>, Failure> {
            let cents = charge(&order).await?;
            Ok(format!("{} {cents}", order.id).into())
        });
    sent(future).await
}

async fn claimed(store: &MemoryStore, orders: Vec<Order>) -> Result<u64, Error> {
    let mut total = 0;
    for order in orders {
        total += sent(run_once!(
            key = (order.id, order.cents),
            fingerprint = order.cents,
            store = store,
            scope = "blocks/claimed",
            ttl = "1d",
            wait = "1s",
            on_error = "keep",
            on_crash = async |claim| charge(&order).await.map(|cents| Some(cents + claim.fence())),
            missing_key = "run",
            claim = c,
            async { charge(&order).await.map(|cents| cents + c.fence()) },
        ))
        .await?;
    }
    Ok(total)
}

fn blocking(order: &Order) -> Result<u64, Failure> {
    let parsed: Result<u64, Failure> = run_once!(key = order.id, scope = "blocks/blocking", || Ok(order.id.parse()?));
    let claimed = run_once!(key = order.id, scope = "blocks/blocking-claimed", claim = c, || -> Result<u64, Error> {
        Ok(c.fence())
    });
    Ok(parsed? + claimed?)
}

async fn in_a_transaction(mut tx: sqlx::PgTransaction<'static>, order: Order) -> Result<u64, Failure> {
    let booked =
        sent(run_once!(tx = &mut tx, key = order.id, scope = "blocks/tx", async || -> Result<u64, Failure> {
            sqlx::query("SELECT 1").execute(&mut *tx).await?;
            Ok(order.cents)
        }))
        .await?;
    let noted =
        sent(run_once!(tx = &mut tx, key = order.id, scope = "blocks/tx-move", async move { charge(&order).await }));
    let noted = noted.await?;
    tx.commit().await?;
    Ok(booked + noted)
}

async fn in_another_driver(
    tx: &tokio_postgres::Transaction<'_>,
    other: sea_orm::DatabaseTransaction,
) -> Result<bool, Error> {
    let closed =
        sent(run_once!(tx = &*tx, key = 1, scope = "blocks/tokio-postgres", async { Ok(tx.client().is_closed()) }));
    let closed: Result<bool, Error> = closed.await;
    let mocked = sent(run_once!(tx = &other, key = 1, scope = "blocks/sea-orm", async || -> Result<bool, Error> {
        let _ = &other;
        Ok(false)
    }));
    Ok(closed? || mocked.await?)
}

fn in_a_sync_transaction(tx: &rusqlite::Transaction<'_>, unit: &mut Unit<'_>) -> Result<bool, Error> {
    let first: Result<bool, Error> =
        run_once!(tx = &*tx, key = 1, scope = "blocks/rusqlite", || Ok(tx.is_autocommit()));
    let second = run_once!(tx = &unit.savepoint, key = 1, scope = "blocks/field", || -> Result<bool, Error> {
        unit.count += 1;
        Ok(unit.savepoint.is_autocommit())
    });
    Ok(first? && second?)
}

struct Unit<'t> {
    savepoint: rusqlite::Savepoint<'t>,
    count: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn runs() {
    let order = |id: &str| Order { id: id.to_owned(), cents: 1 };
    idem_runtime::install(MemoryStore::new()).ok();
    plain(&order("1")).await.ok();
    sent(moving(order("1"))).await.ok();
    claimed(&MemoryStore::new(), vec![order("1")]).await.ok();
    tokio::task::spawn_blocking(move || blocking(&order("1")).ok()).await.ok();
    let _ = (in_a_transaction, in_another_driver, in_a_sync_transaction);
}
