//! One business operation, to charge an order, under each protection that the scenarios compare.
//!
//! Listeners are synchronous. So are the handlers over SQLite; those over PostgreSQL are async, and are waited for on a Tokio
//! runtime that is not the client's.

use std::borrow::Borrow;
use std::thread::sleep;

use idem_runtime::consumer::{Disposition, Refusal, disposition};
use idem_runtime::{Claim, Error, HandlerOutput, Outcome, idempotent};
use rocketmq_client_rust::ConsumeConcurrentlyStatus;
use rusqlite::{Connection, TransactionBehavior};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};

use crate::journal::Journal;
use crate::order::Order;
use crate::shop::{self, Shop};

/// The handlers, by how they are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handler {
    /// Without the attribute.
    Plain,
    /// Lease mode.
    Lease,
    /// Lease mode, where a duplicate of a running key waits for its result.
    Waiting,
    /// Lease mode, where the handler's own errors are recorded.
    Recording,
    /// Lease mode, returning the client's own type.
    Status,
    /// Tx mode.
    Tx,
    /// Lease mode over PostgreSQL, async.
    PostgresLease,
    /// Tx mode in PostgreSQL, async.
    PostgresTx,
}

/// The scope of the keys of all of them.
pub const SCOPE: &str = "shop/charge";

/// A delivery that is being handled.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// The journal in which it is recorded.
    pub journal: &'a Journal,
    /// Its row in the journal.
    pub id: i64,
    /// The order in the message.
    pub order: Order,
    /// How often the broker has been told to deliver it again.
    pub retry: i32,
}

/// Why an order wasn't charged.
#[derive(Debug, Serialize, Deserialize)]
pub enum ChargeError {
    /// The shop's own reason.
    Declined,
    /// An error of the database.
    #[serde(skip)]
    Database(String),
    /// An error of the library.
    #[serde(skip)]
    Idempotency(Error),
}

impl From<Error> for ChargeError {
    fn from(error: Error) -> Self {
        Self::Idempotency(error)
    }
}

impl From<rusqlite::Error> for ChargeError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.to_string())
    }
}

impl From<sqlx::Error> for ChargeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.to_string())
    }
}

impl Refusal for ChargeError {
    fn refusal(&self) -> Option<&Error> {
        match self {
            Self::Idempotency(error) => Some(error),
            _ => None,
        }
    }
}

/// What a handler returns.
pub type Charged = Result<Outcome<i64>, ChargeError>;

/// A marker type, which the orphan rule demands.
pub struct Consumed;

/// The client's own return type, for a handler that needs no other.
impl HandlerOutput<Consumed> for ConsumeConcurrentlyStatus {
    type Value = ();
    type Error = ();

    fn recorded(&mut self) -> Result<impl Serialize + '_, impl Borrow<()> + '_> {
        match self {
            Self::ConsumeSuccess => Ok(()),
            Self::ReconsumeLater => Err(()),
        }
    }

    fn replayed((): ()) -> Self {
        Self::ConsumeSuccess
    }

    fn failed((): ()) -> Self {
        Self::ReconsumeLater
    }

    fn refused(_: Error) -> Self {
        Self::ReconsumeLater
    }
}

/// The status that a listener returns. It can't ask for a delay or for the dead-letter queue. A message goes to that queue when its
/// retries are used up.
pub fn status(disposition: Disposition) -> ConsumeConcurrentlyStatus {
    match disposition {
        Disposition::Acknowledge => ConsumeConcurrentlyStatus::ConsumeSuccess,
        Disposition::Retry { .. } | Disposition::DeadLetter => ConsumeConcurrentlyStatus::ReconsumeLater,
    }
}

/// The unprotected body.
fn plain(shop: &Connection, delivery: &Delivery<'_>, claim: Option<&Claim>) -> Charged {
    let Delivery { journal, id, ref order, retry } = *delivery;
    journal.ran(id, claim.map(|claim| format!("{:?}", claim.previous())).as_deref());
    if retry < order.fails {
        return Err(ChargeError::Declined);
    }
    sleep(order.before);
    shop::charge(shop, order.id.as_deref(), order.cents, id)?;
    journal.charged(id);
    sleep(order.after);
    Ok(order.cents.into())
}

#[idempotent(
    key = "delivery.order.id",
    scope = "shop/charge",
    fingerprint = "delivery.order.cents",
    lease = "6s",
    claim = claim
)]
fn lease(shop: &Connection, delivery: &Delivery<'_>) -> Charged {
    plain(shop, delivery, Some(claim))
}

#[idempotent(key = "delivery.order.id", scope = "shop/charge", lease = "6s", wait = "20s", claim = claim)]
fn waiting(shop: &Connection, delivery: &Delivery<'_>) -> Charged {
    plain(shop, delivery, Some(claim))
}

#[idempotent(key = "delivery.order.id", scope = "shop/charge", lease = "6s", on_error = "record", claim = claim)]
fn recording(shop: &Connection, delivery: &Delivery<'_>) -> Charged {
    plain(shop, delivery, Some(claim))
}

#[idempotent(key = "delivery.order.id", scope = "shop/charge", lease = "6s", claim = claim)]
fn consume(shop: &Connection, delivery: &Delivery<'_>) -> ConsumeConcurrentlyStatus {
    status(disposition(&plain(shop, delivery, Some(claim))))
}

#[idempotent(key = "delivery.order.id", scope = "shop/charge", fingerprint = "delivery.order.cents", tx = "tx")]
fn within(tx: &rusqlite::Transaction<'_>, delivery: &Delivery<'_>) -> Charged {
    plain(tx, delivery, None)
}

fn tx(shop: &mut Connection, delivery: &Delivery<'_>) -> Charged {
    // Immediate: on SQLite, a transaction that has read can't wait for another when it begins to write.
    let tx = shop.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let charged = within(&tx, delivery)?;
    idem_runtime::tx::commit(tx)?;
    Ok(charged)
}

/// The unprotected body, async.
async fn plain_on(shop: &mut PgConnection, delivery: &Delivery<'_>, claim: Option<&Claim>) -> Charged {
    let Delivery { journal, id, ref order, retry } = *delivery;
    journal.ran(id, claim.map(|claim| format!("{:?}", claim.previous())).as_deref());
    if retry < order.fails {
        return Err(ChargeError::Declined);
    }
    tokio::time::sleep(order.before).await;
    shop::charge_on(shop, order.id.as_deref(), order.cents, id).await?;
    journal.charged(id);
    tokio::time::sleep(order.after).await;
    Ok(order.cents.into())
}

#[idempotent(
    key = "delivery.order.id",
    scope = "shop/charge",
    fingerprint = "delivery.order.cents",
    lease = "6s",
    claim = claim
)]
async fn lease_on(pool: &PgPool, delivery: &Delivery<'_>) -> Charged {
    plain_on(&mut *pool.acquire().await?, delivery, Some(claim)).await
}

#[idempotent(key = "delivery.order.id", scope = "shop/charge", fingerprint = "delivery.order.cents", tx = "tx")]
async fn within_on(tx: &mut sqlx::PgTransaction<'_>, delivery: &Delivery<'_>) -> Charged {
    plain_on(tx, delivery, None).await
}

async fn tx_on(pool: &PgPool, delivery: &Delivery<'_>) -> Charged {
    let mut tx = pool.begin().await?;
    let charged = within_on(&mut tx, delivery).await?;
    idem_runtime::tx::commit(tx).await?;
    Ok(charged)
}

impl Handler {
    /// Whether its shop is on a server.
    pub fn needs_a_server(self) -> bool {
        matches!(self, Self::PostgresLease | Self::PostgresTx)
    }

    /// Handles a delivery on the listener's thread. Returns what the consumer has to do with the message.
    ///
    /// # Panics
    ///
    /// Where the database isn't the handler's.
    pub fn handle(self, shop: &Shop, delivery: &Delivery<'_>) -> Disposition {
        let charged = match shop {
            Shop::Sqlite(file) => {
                let shop = &mut file.connect();
                match self {
                    Self::Plain => plain(shop, delivery, None),
                    Self::Lease => lease(shop, delivery),
                    Self::Waiting => waiting(shop, delivery),
                    Self::Recording => recording(shop, delivery),
                    Self::Tx => tx(shop, delivery),
                    Self::Status => return self.consume(shop, delivery),
                    Self::PostgresLease | Self::PostgresTx => panic!("{self:?} needs a server"),
                }
            }
            Shop::Postgres(pool, runtime) => match self {
                Self::PostgresLease => runtime.block_on(lease_on(pool, delivery)),
                Self::PostgresTx => runtime.block_on(tx_on(pool, delivery)),
                _ => panic!("{self:?} needs a file"),
            },
        };
        delivery.journal.end(delivery.id, &outcome(&charged));
        disposition(&charged)
    }

    fn consume(self, shop: &Connection, delivery: &Delivery<'_>) -> Disposition {
        let status = consume(shop, delivery);
        delivery.journal.end(delivery.id, &status.to_string());
        match status {
            ConsumeConcurrentlyStatus::ConsumeSuccess => Disposition::Acknowledge,
            ConsumeConcurrentlyStatus::ReconsumeLater => Disposition::Retry { after: None },
        }
    }
}

/// For the journal.
fn outcome(charged: &Charged) -> String {
    match charged {
        Ok(Outcome::Executed(_)) => "executed".into(),
        Ok(Outcome::Replayed(_)) => "replayed".into(),
        Ok(Outcome::Skipped(_)) => "skipped".into(),
        Err(ChargeError::Declined) => "declined".into(),
        Err(ChargeError::Idempotency(Error::InProgress { .. })) => "in progress".into(),
        Err(ChargeError::Idempotency(error)) => error.to_string(),
        Err(ChargeError::Database(error)) => format!("database: {error}"),
    }
}
