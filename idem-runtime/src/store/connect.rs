//! From a URL to a store.

use std::sync::Arc;

use crate::error::Error;
#[cfg(feature = "mysql")]
use crate::store::MySqlOptions;
#[cfg(feature = "postgres")]
use crate::store::PostgresOptions;
#[cfg(feature = "redis")]
use crate::store::RedisOptions;
#[cfg(feature = "sqlite")]
use crate::store::SqliteOptions;
use crate::store::{AnyStore, IdempotencyAdmin};

/// Opens a store by its URL.
///
/// | URL | store | feature of this crate |
/// |---|---|---|
/// | `memory:` | a new [`MemoryStore`](crate::MemoryStore) | `memory` |
/// | `sqlite:PATH` or `sqlite://PATH`, with `?mode=ro`, `rw` or `rwc` (the default) | `SqliteStore`, in that file | `sqlite` |
/// | `postgres://USER@HOST/DATABASE` | `PostgresStore` | `postgres` |
/// | `mysql://USER@HOST/DATABASE` | `MySqlStore`, also for `MariaDB` | `mysql` |
/// | `redis://HOST` | `RedisStore`, also for Valkey | `redis` |
///
/// The parameters of a server's URL are those of its driver. A path in a `sqlite:` URL is taken as it stands and ends before the
/// first `?`. Tables are created where they are missing, and so is SQLite's file: for an operator's tool, use
/// [`admin::connect`](crate::admin::connect).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), idem_runtime::Error> {
/// let store = idem_runtime::connect("memory:").await?;
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Config`] where the URL is none of these, where a parameter is unknown or repeated, where its feature is off, and
/// where the store can't be opened.
pub async fn connect(url: &str) -> Result<AnyStore, Error> {
    open(url, Purpose::Handlers).await
}

/// Opens a store by its URL, as [`connect`](crate::connect) has them, for an operator to look at keys and settle them.
///
/// It makes no file, no table, no view and no key, migrates nothing, and sweeps only where it is told to. A missing file or
/// table is an error: a mistyped URL can't look like a store in which nothing is stuck. What reads needs rights to read alone:
/// `SELECT` on the tables `idempotency` and `idempotency_schema`; in Redis `PING`, `TIME`, `SCAN`, `GET`, `GETRANGE` and
/// `EXISTS`. What an operator may not do is an error of the request, and changes nothing.
///
/// - **SQLite**: a file that may only be read is opened to be read, as with `?mode=ro`. `?mode=rwc` is read as `rw`. The file is
///   not put into WAL mode. A file in WAL mode that no process has open is read only by who may create files in its folder.
/// - **PostgreSQL**: statements are sent as with `PostgresOptions::simple_queries`, so that a pooler of any kind does.
/// - **Redis**: the rows with the prefix `idem:`. For another one, use `RedisOptions::prefix` and the store's `admin()`.
///
/// ```no_run
/// # async fn look() -> Result<(), Box<dyn std::error::Error>> {
/// use idem_runtime::admin::{self, Filter};
///
/// let admin = admin::connect("postgres://operator@db.example/app").await?;
/// for stuck in admin.list(Filter::all().orphans()).await? {
///     println!("{} {}: attempt {}", stuck.scope, stuck.key, stuck.row.attempt);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Config`] where [`connect`](crate::connect) has it, where the file or the tables are missing, and for `memory:`,
/// which is a new store each time. To look into a [`MemoryStore`](crate::MemoryStore), ask the one that the handlers use for
/// its [`admin`](crate::IdempotencyStore::admin).
pub async fn connect_operator(url: &str) -> Result<Arc<dyn IdempotencyAdmin>, Error> {
    let store = open(url, Purpose::Operator).await?;
    store.admin().ok_or_else(|| Error::config("this store has nothing for an operator"))
}

/// What a store is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Handlers,
    Operator,
}

impl Purpose {
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite"))]
    fn apply<O>(self, options: O, for_operator: fn(O) -> O) -> O {
        match self {
            Self::Handlers => options,
            Self::Operator => for_operator(options),
        }
    }
}

#[allow(unreachable_patterns, unused_variables, reason = "which features are off is not known here")]
async fn open(url: &str, purpose: Purpose) -> Result<AnyStore, Error> {
    match url.split_once(':').unwrap_or((url, "")) {
        ("memory", _) if purpose == Purpose::Operator => Err(Error::config(
            "`memory:` is a new and empty store each time, so an operator finds nothing in it: ask the store that the \
             handlers use for its `admin()`",
        )),
        #[cfg(feature = "memory")]
        ("memory", "") => Ok(AnyStore::new(crate::MemoryStore::new())),
        #[cfg(feature = "memory")]
        ("memory", _) => Err(Error::config("a `memory:` URL has nothing behind the colon: each is a new store")),
        #[cfg(feature = "sqlite")]
        ("sqlite", rest) => {
            let (path, options) = SqliteOptions::from_url(rest)?;
            let options = purpose.apply(options, SqliteOptions::for_operator);
            options.open(path).await.map(AnyStore::new)
        }
        // Each on the heap: opening nests deeper than the compiler follows in a caller's future.
        #[cfg(feature = "postgres")]
        ("postgres" | "postgresql", _) => {
            let options = purpose.apply(crate::PostgresStore::options(), PostgresOptions::for_operator);
            Box::pin(options.open(url)).await.map(AnyStore::new)
        }
        #[cfg(feature = "mysql")]
        ("mysql" | "mariadb", _) => {
            let options = purpose.apply(crate::MySqlStore::options(), MySqlOptions::for_operator);
            Box::pin(options.open(url)).await.map(AnyStore::new)
        }
        #[cfg(feature = "redis")]
        ("redis" | "rediss" | "redis+unix" | "unix" | "valkey" | "valkeys" | "valkey+unix", _) => {
            let options = purpose.apply(crate::RedisStore::options(), RedisOptions::for_operator);
            Box::pin(options.open(url)).await.map(AnyStore::new)
        }
        // A URL can hold a password: the messages show the scheme alone.
        (scheme @ ("memory" | "sqlite" | "postgres" | "mysql" | "redis"), _) => Err(Error::feature_off(scheme, scheme)),
        (scheme @ "postgresql", _) => Err(Error::feature_off(scheme, "postgres")),
        (scheme @ "mariadb", _) => Err(Error::feature_off(scheme, "mysql")),
        (scheme @ ("rediss" | "redis+unix" | "unix" | "valkey" | "valkeys" | "valkey+unix"), _) => {
            Err(Error::feature_off(scheme, "redis"))
        }
        (path, "") => Err(Error::config(format!("`{path}` is no URL of a store: {URLS}"))),
        (scheme, _) => Err(Error::config(format!("no store has the URL scheme `{scheme}:`: {URLS}"))),
    }
}

/// What can be written, and which feature each needs.
const URLS: &str = "write `memory:` (feature `memory`), `sqlite:PATH` (feature `sqlite`), \
                    `postgres://USER@HOST/DATABASE` (feature `postgres`), `mysql://USER@HOST/DATABASE` (feature `mysql`, \
                    also for MariaDB) or `redis://HOST` (feature `redis`, also for Valkey)";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_url_of_a_store_is_told_of_every_kind_and_its_feature() {
        for url in ["x", "keys.sqlite", "kafka://host", "http://host/"] {
            let told = connect(url).await.unwrap_err().to_string();
            for known in ["memory:", "sqlite:", "postgres:", "mysql:", "redis:"] {
                let feature = format!("(feature `{}`", known.trim_end_matches(':'));
                assert!(told.contains(known) && told.contains(&feature), "{told}");
            }
        }
    }
}
