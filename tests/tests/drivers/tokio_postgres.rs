//! tokio-postgres.

use std::ops::{Deref, DerefMut};

use idem_runtime::{Outcome, idempotent, tx};
use idem_tests::Failure;
use tokio_postgres::{IsolationLevel, NoTls, Transaction};

use super::support::postgres::Bench;
use super::{Commits, Driver, READ, effect};

pub(crate) struct Client(pub(crate) tokio_postgres::Client);

impl Driver for Client {
    type Tx<'t> = Transaction<'t>;
    type Handle<'t> = Transaction<'t>;

    async fn connect(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self(client)
    }

    async fn begin(&mut self) -> Transaction<'_> {
        self.0.transaction().await.unwrap()
    }

    async fn begin_strictly(&mut self) -> Transaction<'_> {
        let tx = self.0.build_transaction().isolation_level(IsolationLevel::Serializable).start().await.unwrap();
        tx.query_one(READ, &[]).await.unwrap();
        tx
    }

    async fn commit(tx: Self::Tx<'_>) {
        Self::try_commit(tx).await.unwrap();
    }

    async fn rollback(tx: Self::Tx<'_>) {
        tx.rollback().await.unwrap();
    }

    async fn runs(tx: &mut Self::Handle<'_>, sql: &str) -> bool {
        tx.batch_execute(sql).await.is_ok()
    }
}

impl Commits for Client {
    async fn try_commit(tx: Self::Tx<'_>) -> Result<(), idem_runtime::Error> {
        tx::commit(tx).await
    }
}

/// A wrapper around a transaction, as `deadpool_postgres` has one.
struct Pooled<'t>(Transaction<'t>);

impl<'t> Deref for Pooled<'t> {
    type Target = Transaction<'t>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[idempotent(key = "id", tx = "tx")]
async fn book(tx: &Transaction<'_>, id: &str) -> Result<Outcome<()>, Failure> {
    tx.batch_execute(&effect(id)).await.unwrap();
    Ok(().into())
}

#[tokio::test]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_transaction_of_a_pool_is_taken_as_what_it_derefs_to() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;
    let tx = Pooled(client.begin().await);
    assert_eq!(book(&tx, "a").await.unwrap(), Outcome::Executed(()));
    assert_eq!(book(&tx, "a").await.unwrap(), Outcome::Replayed(()));
    tx.0.commit().await.unwrap();
    assert_eq!(bench.effects("a").await, 1);
}

/// A wrapper around a client, as `deadpool_postgres` has one.
struct PooledClient(Client);

impl Deref for PooledClient {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &Self::Target {
        &self.0.0
    }
}

impl DerefMut for PooledClient {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0.0
    }
}

#[tokio::test]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r22_a_client_of_a_pool_begins_what_can_be_committed() {
    let bench = Bench::new().await;
    let mut client = PooledClient(Client::connect(&bench.url).await);
    let tx = tokio_postgres::Client::transaction(&mut client).await.unwrap();
    assert_eq!(book(&tx, "a").await.unwrap(), Outcome::Executed(()));
    tx::commit(tx).await.unwrap();
    let tx = tokio_postgres::Client::transaction(&mut client).await.unwrap();
    assert_eq!(book(&tx, "a").await.unwrap(), Outcome::Replayed(()));
}
