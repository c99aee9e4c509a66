//! The options of a store.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionManager;
use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, RedisError};

use super::RedisStore;
#[cfg(feature = "redis-cluster")]
use super::cluster::Cluster;
use super::confirmation::Confirmation;
use super::failure::STORE;
use super::link::{Link, Source};
use super::links::Links;
use crate::error::{Error, StoreError};
use crate::store::tls;
use crate::store::url::{self, Names};

/// The parameters that the driver reads in the URL of a host. The database is the URL's path.
const PARAMETERS: &[Names] = &[&["protocol"]];
/// The parameters that the driver reads in the URL of a socket. The URL's path is the socket's.
const SOCKET_PARAMETERS: &[Names] = &[&["db"], &["user"], &["pass"], &["protocol"]];

/// How to open a [`RedisStore`]. [`RedisStore::options`] makes it.
///
/// ```no_run
/// # async fn open() -> Result<(), idem_runtime::Error> {
/// use std::time::Duration;
/// use idem_runtime::RedisStore;
///
/// let store = RedisStore::options()
///     .prefix("payments:")
///     .wait_replicas(1, Duration::from_millis(500))
///     .open("redis://localhost")
///     .await?;
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options open nothing until a store is opened with them"]
pub struct RedisOptions {
    pub(super) prefix: Vec<u8>,
    pub(super) confirmation: Option<Confirmation>,
    /// Whether handlers will use the store, so that its scripts are loaded.
    pub(super) serves: bool,
    listen: Option<Client>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { prefix: b"idem:".to_vec(), confirmation: None, serves: true, listen: None }
    }
}

impl RedisOptions {
    /// What the names of all keys and channels begin with. Default: `idem:`.
    ///
    /// In a cluster, a prefix with a `{hash tag}` puts every key on one node. Braces in scopes and keys have no effect.
    pub fn prefix(mut self, prefix: impl Into<Vec<u8>>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets that this many replicas have to confirm each granted claim, each completion, each replay and each write of
    /// an operator before it counts. The store sends `WAIT` in the same round trip. Default: off.
    ///
    /// With it, a failover to one of *those* replicas loses none of these writes. `WAIT` doesn't choose which replica
    /// is promoted, so let every replica that can be promoted confirm. It costs the replicas' round trip, and a write
    /// for each replay.
    ///
    /// The server sends no other answer on a connection while a `WAIT` is under way there. So the store sends requests
    /// that replicas have to confirm in groups, in a cluster by node: all requests that arrive while one group is under
    /// way form the next group, and share its `WAIT`. If a replica is missing, a request takes at most twice `timeout`.
    ///
    /// All other requests, in particular renewals, use other connections: the store's own ([`open`](Self::open)), or
    /// those that it makes with the client from [`listen`](Self::listen). With only a connection of yours, a renewal
    /// waits for at most one group, so `timeout` has to be shorter than a third of each handler's lease.
    ///
    /// If there are fewer replicas, opening the store fails ([`Error::Config`]), because none of its claims would
    /// count. If too few replicas confirm a request later, the outcome is not known ([`StoreError::is_unanswered`]): a
    /// claim is repeated and then given up; a completion is repeated while its lease holds, and then is
    /// [`Error::NotRecorded`]. Nothing is rolled back: the primary has the write.
    pub fn wait_replicas(mut self, replicas: u32, timeout: Duration) -> Self {
        self.confirmation = Some(Confirmation { replicas, synced: false, timeout });
        self
    }

    /// Like [`wait_replicas`](Self::wait_replicas), and the write has to be in the append-only files of the primary and
    /// of this many replicas, which can be none. The store sends `WAITAOF`, which Redis 7.2 and Valkey have.
    ///
    /// It has the effect of `appendfsync always` for the writes of this store only. It costs a sync of the disk; with
    /// `appendfsync everysec` a request waits for it for at most a second. If the server doesn't have the command,
    /// opening the store fails.
    pub fn wait_aof(mut self, replicas: u32, timeout: Duration) -> Self {
        self.confirmation = Some(Confirmation { replicas, synced: true, timeout });
        self
    }

    /// A client for more connections to the server, for a store that is opened with a connection of yours. A store that
    /// makes its own connections doesn't need it. In a cluster, it can name any node. The store makes up to three
    /// connections with it:
    ///
    /// - One receives notifications that a key was completed or released. Without it, waiting calls poll.
    /// - One is for the requests of operators, so that they don't delay handlers.
    /// - With [`wait_replicas`](Self::wait_replicas), one is for renewals and releases.
    ///
    /// The store makes the last two only if the client reaches the same primary as the connection. It checks that with
    /// `INFO server` (in a cluster, `CLUSTER SLOTS`) when it is opened. If the primaries differ, or the user may not
    /// ask, the store logs a warning, and uses the client for notifications only.
    pub fn listen(mut self, client: Client) -> Self {
        self.listen = Some(client);
        self
    }

    /// For an operator, who may have only the right to read: no script is loaded.
    pub(crate) fn for_operator(mut self) -> Self {
        self.serves = false;
        self
    }

    /// Opens the store at this URL, with connections of its own. The URL begins with `redis://`, `rediss://` (feature
    /// `tls`), `valkey://` or `unix://`, and is read by the crate `redis`.
    ///
    /// Over TLS, the store checks the server's certificate and the host name in it, against the system's root
    /// certificates, or those in the file that the environment variable `SSL_CERT_FILE` names. For an authority of your
    /// own, or a client certificate, build a client with `redis::Client::build_with_tls`, and give its connection to
    /// [`open_with`](Self::open_with) and the client to [`listen`](Self::listen).
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the URL can't be read, or has an unknown or repeated parameter, and if the server can't be
    /// reached, or refuses the client, within some seconds.
    pub async fn open(self, url: &str) -> Result<RedisStore, Error> {
        let client = Self::read(url)?;
        if matches!(client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. }) {
            tls::prepare();
        }
        self.over(Source::Client(Box::new(client))).await
    }

    /// What a URL says about a connection.
    pub(crate) fn read(url: &str) -> Result<Client, Error> {
        let is_socket = ["unix:", "redis+unix:", "valkey+unix:"].iter().any(|scheme| url.starts_with(scheme));
        url::parameters(url::query(url), if is_socket { SOCKET_PARAMETERS } else { PARAMETERS })?;
        let client = Client::open(url).and_then(|client| prompt(&client));
        client.map_err(|error| refusal(url, error, cfg!(feature = "tls")))
    }

    /// Opens the store with a connection of yours, which reconnects by itself. Its time-outs are yours to set: the
    /// default of 500 ms for an answer is too short for a busy server, and after a time-out the caller doesn't know
    /// what the server did.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the server doesn't answer.
    pub async fn open_with(self, connection: ConnectionManager) -> Result<RedisStore, Error> {
        let source = self.listening();
        let links = Links::around(Link::Manager(connection), source.as_ref(), self.confirmation.as_ref()).await;
        RedisStore::start(links, source, self).await
    }

    /// Opens the store with a connection of yours to a cluster. Each key is on one node, and a script uses one key.
    ///
    /// The driver repeats a request that the cluster redirects, or whose node is gone, so give it few `retries`. The
    /// store gives a request up after ten seconds, unless the driver has a shorter time-out.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the cluster doesn't answer.
    #[cfg(feature = "redis-cluster")]
    pub async fn open_with_cluster(
        self,
        cluster: redis::cluster_async::ClusterConnection,
    ) -> Result<RedisStore, Error> {
        let longer = self.confirmation.map_or(Duration::ZERO, |confirmation| confirmation.timeout);
        let cluster = Link::Cluster(Cluster::new(cluster, longer));
        let links = Links::around_cluster(cluster, self.listen.as_ref(), self.confirmation.as_ref()).await;
        RedisStore::start(links, self.listening(), self).await
    }

    /// Opens the store at the primary that the sentinels name. The store asks them again if the connection broke, if
    /// the server doesn't answer, and if it has become a replica.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if no primary is found and reached within some seconds.
    #[cfg(feature = "redis-sentinel")]
    pub async fn open_with_sentinel(self, sentinel: redis::sentinel::SentinelClient) -> Result<RedisStore, Error> {
        self.over(Source::Sentinel(Box::new(tokio::sync::Mutex::new(sentinel)))).await
    }

    async fn over(self, source: Source) -> Result<RedisStore, Error> {
        let source = Arc::new(source);
        let links = Links::own(&source, self.confirmation.as_ref());
        RedisStore::start(links, Some(source), self).await
    }

    fn listening(&self) -> Option<Arc<Source>> {
        self.listen.clone().map(|client| Arc::new(Source::Client(Box::new(client))))
    }
}

/// The error for a URL that can't be used. `tls` says whether the feature is on. The error doesn't contain the URL,
/// which can contain a password. So it leaves out the driver's error if that quotes a part of the URL, as redis 1.8 does
/// with the value of `protocol`.
fn refusal(url: &str, error: RedisError, tls: bool) -> Error {
    match url.split_once(':') {
        Some((scheme @ ("rediss" | "valkeys"), _)) if !tls => Error::feature_off(scheme, "tls"),
        _ => Error::Config {
            message:
                "this is no URL of a Redis server: write `redis://USER:PASSWORD@HOST:PORT/DATABASE`, of which all \
                      but the host can be left out"
                    .to_owned(),
            source: error.detail().is_none().then(|| StoreError::refused(STORE, error).in_own_words()),
        },
    }
}

/// Returns the client with other TCP settings: it sends small requests at once, and its connection breaks if the server
/// has vanished.
fn prompt(client: &Client) -> Result<Client, RedisError> {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(Duration::from_secs(10));
    Client::open(client.get_connection_info().clone().set_tcp_settings(settings))
}

#[cfg(test)]
mod tests {
    #[test]
    fn tls_without_its_feature_is_advised_to_turn_it_on() {
        let refusal = |url, tls| {
            let error = (redis::ErrorKind::InvalidClientConfig, "can't connect with TLS").into();
            super::refusal(url, error, tls).to_string()
        };
        let advice = "`rediss:` URLs need idem-runtime's feature `tls`: turn it on in Cargo.toml";
        assert_eq!(refusal("rediss://:secret@host", false), advice);
        assert_eq!(refusal("valkeys://host", false), advice.replace("rediss", "valkeys"));
        for (url, tls) in [("redis://host", false), ("rediss://host", true)] {
            assert!(!refusal(url, tls).contains("feature"), "{url}");
        }
    }

    #[test]
    fn no_part_of_the_url_is_shown_whatever_the_driver_says_about_it() {
        for url in ["redis://host?protocol=hunter2", "redis+unix:///socket?protocol=hunter2", "redis://host:hunter2"] {
            let error = super::RedisOptions::read(url).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
