//! Handlers in tx mode that are written in an unusual way. They compile without a warning.

#![deny(warnings, clippy::all, clippy::pedantic)]
#![allow(clippy::unused_async, clippy::missing_errors_doc, clippy::significant_drop_tightening)]

use idem_runtime::{Error, Outcome, idempotent};
use rusqlite::{Connection, Transaction};

#[idempotent(key = "(site, call)", tx = "tx", fingerprint = "(ops, output, entered)")]
#[expect(clippy::too_many_arguments, reason = "each a name of the macro's")]
fn shadows(
    tx: &Transaction<'_>,
    site: &str,
    call: u8,
    ops: u8,
    output: u8,
    entered: u8,
    body: u8,
    key: u8,
    fingerprint: u8,
    slot: u8,
    claim: u8,
) -> Result<u8, Error> {
    let _ = tx;
    let _ = site;
    Ok(call + ops + output + entered + body + key + fingerprint + slot + claim)
}

#[idempotent(key = "r#type", tx = "r#fn")]
fn raw(r#fn: &Transaction<'_>, r#type: &str) -> Result<String, Error> {
    let _ = r#fn.is_autocommit();
    Ok(r#type.to_owned())
}

#[idempotent(key = "id", tx = "tx")]
async fn mutable(tx: &Transaction<'_>, mut id: String) -> Result<String, Error> {
    id.push_str(if tx.is_autocommit() { "!" } else { "?" });
    id.push_str(if tx.is_autocommit() { "!" } else { "?" });
    Ok(id)
}

#[idempotent(key = "id", tx = "tx")]
async fn by_savepoint(tx: &mut Transaction<'_>, id: &str) -> Result<(), Error> {
    let savepoint = tx.savepoint().map_err(|_| ()).ok();
    let _ = (savepoint.is_some(), id);
    Ok(())
}

#[idempotent(key = "tx.is_autocommit(), id", tx = "tx")]
fn key_of_tx(tx: &Transaction<'_>, id: String) -> Result<String, Error> {
    let moved = id;
    let _ = tx;
    Ok(moved)
}

#[idempotent(key = "order.0", tx = "tx", scope = "attack/generic")]
fn generic<'a, T: Clone + Into<String>, const N: usize>(
    tx: &'a Transaction<'a>,
    order: &'a (u64, [T; N]),
    each: impl Fn(&T),
) -> Result<Vec<String>, Error> {
    let _ = tx;
    order.1.iter().for_each(each);
    Ok(order.1.iter().cloned().map(Into::into).collect())
}

struct Ledger<'c> {
    connection: &'c Connection,
}

impl Ledger<'_> {
    #[idempotent(key = "id", tx = "tx", scope = "attack/method")]
    fn method(&self, tx: &Transaction<'_>, id: &str) -> Result<bool, Error> {
        let _ = (tx, id);
        Ok(self.connection.is_autocommit())
    }

    #[idempotent(key = "id", tx = "tx", scope = "attack/consumed")]
    async fn consumed(self, tx: &mut sqlx::SqliteConnection, id: String) -> Result<bool, Error> {
        let _ = (tx, id);
        Ok(self.connection.is_autocommit())
    }
}

#[idempotent(key = "id", tx = "tx")]
async fn early(tx: &mut sqlx::SqliteTransaction<'_>, id: Option<&str>) -> Result<Outcome<u8>, Error> {
    let _ = &tx;
    let Some(id) = id else { return Ok(1.into()) };
    if id.is_empty() {
        return Ok(2.into());
    }
    Ok(3.into())
}

#[idempotent(key = "id", tx = "tx", scope = "attack/closure")]
async fn with_closure<F>(tx: &mut sqlx::SqliteTransaction<'_>, id: &str, run: F) -> Result<u8, Error>
where
    F: AsyncFnOnce(&mut sqlx::SqliteConnection) -> u8,
{
    let _ = id;
    Ok(run(tx).await)
}

#[idempotent(key = "id", tx = "tx")]
async fn conditional(
    tx: &mut sqlx::SqliteTransaction<'_>,
    #[cfg(any())] missing: u8,
    #[cfg(not(any()))] id: &str,
    #[allow(unused_variables)] ignored: u8,
    _: u8,
    (left, right): (u8, u8),
) -> Result<u8, Error> {
    let _ = (tx, id);
    Ok(left + right)
}

#[idempotent(key = "id", tx = "connection")]
async fn on_connection(connection: &mut sqlx::SqliteConnection, id: &str) -> Result<usize, Error> {
    let _ = &connection;
    Ok(id.len())
}

#[async_trait::async_trait]
trait Books {
    async fn book(&self, tx: &mut sqlx::SqliteConnection, id: &str) -> Result<u8, Error>;
    async fn book_tx(&self, tx: &mut sqlx::SqliteTransaction<'_>, id: &str) -> Result<u8, Error>;
}

#[async_trait::async_trait]
impl Books for u8 {
    #[idempotent(key = "id", tx = "tx", scope = "attack/async-trait")]
    async fn book(&self, tx: &mut sqlx::SqliteConnection, id: &str) -> Result<u8, Error> {
        let _ = (tx, id);
        Ok(*self)
    }

    #[idempotent(key = "id", tx = "tx", scope = "attack/async-trait-tx")]
    async fn book_tx(&self, tx: &mut sqlx::SqliteTransaction<'_>, id: &str) -> Result<u8, Error> {
        let _ = (tx, id);
        Ok(*self)
    }
}

trait Native {
    fn book(&self, tx: &mut sqlx::SqliteConnection, id: &str) -> impl Future<Output = Result<u8, Error>> + Send;
}

impl Native for u8 {
    #[idempotent(key = "id", tx = "tx", scope = "attack/native-trait")]
    async fn book(&self, tx: &mut sqlx::SqliteConnection, id: &str) -> Result<u8, Error> {
        let _ = (tx, id);
        Ok(*self)
    }
}

fn is_send<T: Send>(_: &T) {}

#[test]
fn futures_are_send() {
    fn check(tx: &mut sqlx::SqliteTransaction<'_>) {
        is_send(&early(tx, None));
        is_send(&conditional(tx, "a", 1, 2, (3, 4)));
        is_send(&on_connection(tx, "a"));
        is_send(&Books::book(&1, tx, "a"));
        is_send(&Native::book(&1, tx, "a"));
    }
    let _ = check;
}

#[test]
fn they_run() {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(idem_runtime::tx::schema(idem_runtime::tx::Database::Sqlite)).unwrap();
    let tx = connection.transaction().unwrap();
    assert_eq!(shadows(&tx, "a", 1, 1, 1, 1, 1, 1, 1, 1, 1).unwrap(), 9);
    assert_eq!(raw(&tx, "a").unwrap(), "a");
    assert_eq!(key_of_tx(&tx, "a".to_owned()).unwrap(), "a");
    assert_eq!(generic(&tx, &(1, ["x"; 2]), |_| ()).unwrap(), ["x", "x"]);
    assert!(!Ledger { connection: &tx }.method(&tx, "a").unwrap());
}
