//! From a URL to a store.

use crate::error::Error;
use crate::store::AnyStore;

/// Opens a store by its URL.
///
/// | URL | store | feature |
/// |---|---|---|
/// | `memory:` | a new [`MemoryStore`](crate::MemoryStore) | `memory` |
/// | `sqlite:PATH` or `sqlite://PATH` | `SqliteStore`, in that file | `sqlite` |
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
pub async fn connect(url: &str) -> Result<AnyStore, Error> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    match scheme {
        #[cfg(feature = "memory")]
        "memory" if rest.is_empty() => Ok(AnyStore::new(crate::MemoryStore::new())),
        #[cfg(feature = "memory")]
        "memory" => Err(Error::config("a `memory:` URL has nothing behind the colon: each is a new store")),
        #[cfg(feature = "sqlite")]
        "sqlite" => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.contains('?') {
                return Err(Error::config(
                    "a `sqlite:` URL is a path and takes no parameters: set them with `SqliteStore::options`",
                ));
            }
            crate::SqliteStore::open(path).await.map(AnyStore::new)
        }
        #[cfg(not(feature = "memory"))]
        "memory" => Err(feature_off(scheme, "memory")),
        #[cfg(not(feature = "sqlite"))]
        "sqlite" => Err(feature_off(scheme, "sqlite")),
        // A URL can hold a password: the message shows the scheme alone.
        _ => Err(Error::config(format!("no store has the URL scheme `{scheme}:`: use `memory:` or `sqlite:PATH`"))),
    }
}

#[allow(dead_code, reason = "unused where every feature is on")]
fn feature_off(scheme: &str, feature: &str) -> Error {
    Error::config(format!("`{scheme}:` URLs need idem-runtime's feature `{feature}`: turn it on in Cargo.toml"))
}
