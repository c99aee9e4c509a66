//! How a store is opened.

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

/// What the driver reads in the URL of a host. The database is its path.
const PARAMETERS: &[Names] = &[&["protocol"]];
/// What it reads in that of a socket, whose path is the socket's.
const SOCKET_PARAMETERS: &[Names] = &[&["db"], &["user"], &["pass"], &["protocol"]];

/// How to open a [`RedisStore`]: made by [`RedisStore::options`].
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
    /// Whether handlers will use it.
    pub(super) serves: bool,
    listen: Option<Client>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { prefix: b"idem:".to_vec(), confirmation: None, serves: true, listen: None }
    }
}

impl RedisOptions {
    /// What the names of all keys and channels begin with. `idem:` unless set.
    ///
    /// In a cluster, a prefix with a `{hash tag}` puts every key on one node. Braces in scopes and keys mean nothing.
    pub fn prefix(mut self, prefix: impl Into<Vec<u8>>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Has this many replicas confirm each granted claim, each completion, each replay and each write of an operator
    /// before it counts: `WAIT`, in the same round trip. Off unless set.
    ///
    /// It buys that a failover to one of *those* replicas loses none of them; which replica is promoted is not for
    /// `WAIT` to say, so let it be all that can be. It costs the replicas' round trip, and a write for each replay.
    ///
    /// A server answers nothing else on a connection on which a `WAIT` is under way. So requests that are to be confirmed are
    /// settled in groups, in a cluster by node: all that come while one group is under way are the next one, and share its
    /// `WAIT`. Where a replica is missing, a request takes at most twice `timeout`. Everything else, renewals above all, uses
    /// other connections: the store's own ([`open`](Self::open)), or those that it makes with the client that
    /// [`listen`](Self::listen) was given. Over a connection of the user's alone, a renewal waits for at most one group: let
    /// `timeout` be shorter than a third of each handler's lease.
    ///
    /// Where fewer replicas are there, the store isn't opened ([`Error::Config`]): none of its claims would count. Where too
    /// few confirm later on, the store answers that it can't say ([`StoreError::is_unanswered`]): a claim is repeated and
    /// then given up, and a completion is repeated while its lease holds and is then [`Error::NotRecorded`]. Nothing is
    /// rolled back: the primary has the write.
    pub fn wait_replicas(mut self, replicas: u32, timeout: Duration) -> Self {
        self.confirmation = Some(Confirmation { replicas, synced: false, timeout });
        self
    }

    /// The same, and the write has to be in the append-only files of the primary and of so many replicas (which can be
    /// none): `WAITAOF`, which Redis 7.2 and Valkey have.
    ///
    /// It buys what `appendfsync always` does, for the writes of this store alone, and costs a sync of the disk, which is
    /// at most a second away with `appendfsync everysec`. A server that can't is refused when the store is opened.
    pub fn wait_aof(mut self, replicas: u32, timeout: Duration) -> Self {
        self.confirmation = Some(Confirmation { replicas, synced: true, timeout });
        self
    }

    /// Another way to the server, for a store that is opened with a connection; a store that opens its own connections has
    /// one. In a cluster, any node will do. The store makes up to three connections with it:
    ///
    /// - It hears there that a key changed hands. Without it, waiting calls look by themselves.
    /// - Operators' requests go there, and hold up no handler.
    /// - With [`wait_replicas`](Self::wait_replicas), renewals and releases go there.
    ///
    /// The last two only where it leads to the same primary as the connection, which `INFO server` (in a cluster, `CLUSTER
    /// SLOTS`) is asked when the store is opened. Where it doesn't, or isn't allowed to ask, the store says so in a warning and
    /// only listens there.
    pub fn listen(mut self, client: Client) -> Self {
        self.listen = Some(client);
        self
    }

    /// For an operator, who may only read: nothing is made.
    pub(crate) fn for_operator(mut self) -> Self {
        self.serves = false;
        self
    }

    /// Opens the store at this URL, with connections of its own: `redis://`, `rediss://` (feature `tls`), `valkey://`,
    /// `unix://`, as the crate `redis` reads them.
    ///
    /// Over TLS, the server's certificate and the host's name in it are checked by the system's roots, or those in the file
    /// that the environment variable `SSL_CERT_FILE` names. For an authority of your own, or a client's certificate, build a
    /// client with `redis::Client::build_with_tls`, and give its connection to [`open_with`](Self::open_with) and
    /// itself to [`listen`](Self::listen).
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where the URL can't be read, or has an unknown or repeated parameter, and where the server can't be
    /// reached or refuses the client within some seconds.
    pub async fn open(self, url: &str) -> Result<RedisStore, Error> {
        let is_socket = ["unix:", "redis+unix:", "valkey+unix:"].iter().any(|scheme| url.starts_with(scheme));
        url::parameters(url::query(url), if is_socket { SOCKET_PARAMETERS } else { PARAMETERS })?;
        let client = Client::open(url).and_then(|client| prompt(&client));
        let client = client.map_err(|error| refusal(url, error, cfg!(feature = "tls")))?;
        if matches!(client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. }) {
            tls::prepare();
        }
        self.over(Source::Client(Box::new(client))).await
    }

    /// Opens the store with a connection of the user's, which reconnects by itself. Its time-outs are the application's:
    /// the default of 500 ms for an answer is too short for a busy server, and the caller then doesn't know what was done.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where the server doesn't answer.
    pub async fn open_with(self, connection: ConnectionManager) -> Result<RedisStore, Error> {
        let source = self.listening();
        let links = Links::around(Link::Manager(connection), source.as_ref(), self.confirmation.as_ref()).await;
        RedisStore::start(links, source, self).await
    }

    /// Opens the store with a connection of the user's to a cluster. Each key is on one node, and a script names one key.
    ///
    /// The driver repeats a request that the cluster redirects or that finds a node gone: give it few `retries`. The store
    /// gives a request up after ten seconds, where the driver has no shorter time-out.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where the cluster doesn't answer.
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

    /// Opens the store where the sentinels say that the primary is. They are asked again where the connection broke, where
    /// the server doesn't answer, and where it has become a replica.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where no primary is found and reached within some seconds.
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

/// What is wrong with a URL, where the feature `tls` is on or off. Without the URL: it can hold a password.
fn refusal(url: &str, error: RedisError, tls: bool) -> Error {
    match url.split_once(':') {
        Some((scheme @ ("rediss" | "valkeys"), _)) if !tls => Error::feature_off(scheme, "tls"),
        _ => Error::Config {
            message:
                "this is no URL of a Redis server: write `redis://USER:PASSWORD@HOST:PORT/DATABASE`, of which all \
                      but the host can be left out"
                    .to_owned(),
            source: Some(StoreError::refused(STORE, error).in_own_words()),
        },
    }
}

/// The same client, whose small requests are sent at once, and whose connection breaks where the server has vanished.
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
}
