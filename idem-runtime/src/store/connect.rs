//! Opening a store by its URL.

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
/// The parameters of a server's URL are those of its driver. The URL of a SQL store can also have `table=NAME`, the name
/// of its table, which is `idem_keys` without it. The path in a `sqlite:` URL is used as written, without decoding, and
/// ends before the first `?`. Missing tables are created, and so is a missing SQLite file. An operator's tool should use
/// [`admin::connect`](crate::admin::connect), which creates nothing.
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
/// [`Error::Config`] if the URL is none of these, if a parameter is unknown or repeated, if the store's feature is off,
/// or if the store can't be opened.
pub async fn connect(url: &str) -> Result<AnyStore, Error> {
    open(url, Purpose::Handlers).await
}

/// Opens a store by its URL for an operator, who looks at keys and resolves them. The URLs are those of
/// [`connect`](crate::connect).
///
/// It creates no file, no table, no view and no key, runs no migration, and sweeps only when
/// [`IdempotencyAdmin::sweep`] is called. A missing file or table is an error, so a mistyped URL doesn't look like a
/// store in which no key is stuck.
///
/// The methods that only read need only rights to read: `SELECT` on the tables `idem_keys` and `idem_keys_schema`, or on
/// those that the URL's `table` names; in Redis `PING`, `TIME`, `SCAN`, `GET`, `GETRANGE` and `EXISTS`. A request that
/// the operator has no right to make is an error, and changes nothing.
///
/// - **SQLite**: a file that this process may only read is opened read-only, as with `?mode=ro`. `?mode=rwc` means
///   `rw`. The file is not put into WAL mode. To read a file in WAL mode that no process has open, the operator needs
///   the right to create files in its folder.
/// - **PostgreSQL**: statements are sent as with `PostgresOptions::simple_queries`, so a pooler of any kind works.
/// - **Redis**: the operator sees the rows with the prefix `idem:`. For another prefix, use `RedisOptions::prefix` and
///   the store's `admin()`.
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
/// [`Error::Config`] in the cases of [`connect`](crate::connect), if the file or the tables are missing, and for
/// `memory:`, which would be a new and empty store. To look into a [`MemoryStore`](crate::MemoryStore), call
/// [`admin`](crate::IdempotencyStore::admin) on the store that the handlers use.
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
        // The futures are boxed: unboxed, they nest deeper than the compiler's limit in a caller's future.
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
        // A URL can contain a password, so the messages show only its scheme.
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

/// The URLs that `connect` takes, and the feature that each needs.
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
