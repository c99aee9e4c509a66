//! From a URL to a store.

use crate::error::Error;
use crate::store::AnyStore;

/// Opens a store by its URL.
///
/// | URL | store | feature of this crate |
/// |---|---|---|
/// | `memory:` | a new [`MemoryStore`](crate::MemoryStore) | `memory` |
/// | `sqlite:PATH` or `sqlite://PATH` | `SqliteStore`, in that file | `sqlite` |
/// | `postgres://USER@HOST/DATABASE` | `PostgresStore` | `postgres` |
/// | `mysql://USER@HOST/DATABASE` | `MySqlStore`, also for `MariaDB` | `mysql` |
/// | `redis://HOST` | `RedisStore`, also for Valkey | `redis` |
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
/// [`Error::Config`] where the URL is none of these, where its feature is off, and where the store can't be opened.
#[allow(unreachable_patterns, reason = "which features are off is not known here")]
pub async fn connect(url: &str) -> Result<AnyStore, Error> {
    match url.split_once(':').unwrap_or((url, "")) {
        #[cfg(feature = "memory")]
        ("memory", "") => Ok(AnyStore::new(crate::MemoryStore::new())),
        #[cfg(feature = "memory")]
        ("memory", _) => Err(Error::config("a `memory:` URL has nothing behind the colon: each is a new store")),
        #[cfg(feature = "sqlite")]
        ("sqlite", path) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.contains('?') {
                return Err(Error::config(
                    "a `sqlite:` URL is a path and takes no parameters: set them with `SqliteStore::options`",
                ));
            }
            crate::SqliteStore::open(path).await.map(AnyStore::new)
        }
        // Each on the heap: opening nests deeper than the compiler follows in a caller's future.
        #[cfg(feature = "postgres")]
        ("postgres" | "postgresql", _) => Box::pin(crate::PostgresStore::open(url)).await.map(AnyStore::new),
        #[cfg(feature = "mysql")]
        ("mysql" | "mariadb", _) => Box::pin(crate::MySqlStore::open(url)).await.map(AnyStore::new),
        #[cfg(feature = "redis")]
        ("redis" | "rediss" | "redis+unix" | "unix" | "valkey" | "valkeys", _) => {
            Box::pin(crate::RedisStore::open(url)).await.map(AnyStore::new)
        }
        // A URL can hold a password: the messages show the scheme alone.
        (scheme @ ("memory" | "sqlite" | "postgres" | "mysql" | "redis"), _) => Err(feature_off(scheme, scheme)),
        (scheme @ "postgresql", _) => Err(feature_off(scheme, "postgres")),
        (scheme @ "mariadb", _) => Err(feature_off(scheme, "mysql")),
        (scheme @ ("rediss" | "redis+unix" | "unix" | "valkey" | "valkeys"), _) => Err(feature_off(scheme, "redis")),
        (path, "") => Err(Error::config(format!("`{path}` is no URL of a store: {URLS}"))),
        (scheme, _) => Err(Error::config(format!("no store has the URL scheme `{scheme}:`: {URLS}"))),
    }
}

/// What can be written, and which feature each needs.
const URLS: &str = "write `memory:` (feature `memory`), `sqlite:PATH` (feature `sqlite`), \
                    `postgres://USER@HOST/DATABASE` (feature `postgres`), `mysql://USER@HOST/DATABASE` (feature `mysql`, \
                    also for MariaDB) or `redis://HOST` (feature `redis`, also for Valkey)";

pub(crate) fn feature_off(scheme: &str, feature: &str) -> Error {
    Error::config(format!("`{scheme}:` URLs need idem-runtime's feature `{feature}`: turn it on in Cargo.toml"))
}

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
