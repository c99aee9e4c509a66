//! Which connection carries which requests.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisResult;

use super::confirmation::Confirmation;
use super::failure::STORE;
use super::link::{Line, Link, Source};

/// The connections of a store. The store makes its own when they are first used.
pub(super) struct Links {
    /// For the requests of handlers that need no confirmation.
    pub(super) handlers: Link,
    /// For the requests that need a confirmation: a `WAIT` delays all requests after it.
    pub(super) confirmed: Link,
    /// For the requests of operators: a pass through all keys would delay handlers.
    pub(super) operators: Link,
}

impl Links {
    /// The connections of a store that makes its own.
    pub(super) fn own(source: &Arc<Source>, confirmation: Option<&Confirmation>) -> Self {
        let longer = confirmation.map_or(Duration::ZERO, |confirmation| confirmation.timeout);
        Self {
            handlers: line(source, Duration::ZERO),
            confirmed: line(source, longer),
            operators: line(source, Duration::ZERO),
        }
    }

    /// The user's connection to a server, and the store's own beside it if `source` leads to the same server.
    pub(super) async fn around(user: Link, source: Option<&Arc<Source>>, confirmation: Option<&Confirmation>) -> Self {
        let other = match source {
            Some(source) => checked(&user, Ok(line(source, Duration::ZERO))).await,
            None => None,
        };
        let operators = source.filter(|_| other.is_some()).map(|source| line(source, Duration::ZERO));
        Self::beside(user, other, operators, confirmation)
    }

    /// The same, for a cluster.
    #[cfg(feature = "redis-cluster")]
    pub(super) async fn around_cluster(
        user: Link,
        listen: Option<&redis::Client>,
        confirmation: Option<&Confirmation>,
    ) -> Self {
        let other = match listen {
            Some(client) => checked(&user, super::cluster::Cluster::beside(client).await.map(Link::Cluster)).await,
            None => None,
        };
        Self::beside(user, other.clone(), other, confirmation)
    }

    /// Without confirmations, no request on the user's connection comes after a `WAIT`, so handlers use it too.
    fn beside(user: Link, other: Option<Link>, operators: Option<Link>, confirmation: Option<&Confirmation>) -> Self {
        let handlers = other.filter(|_| confirmation.is_some()).unwrap_or_else(|| user.clone());
        Self { handlers, operators: operators.unwrap_or_else(|| user.clone()), confirmed: user }
    }
}

fn line(source: &Arc<Source>, longer: Duration) -> Link {
    Link::Line(Arc::new(Line::new(Arc::clone(source), longer)))
}

/// Returns `other` if it leads to the same server as the user's connection. On a replica, renewals would fail, and
/// operators would read old rows.
async fn checked(user: &Link, other: RedisResult<Link>) -> Option<Link> {
    if let Ok(other) = other
        && user.leads_where(&other).await
    {
        return Some(other);
    }
    tracing::warn!(
        store = STORE,
        "`listen` names another server than the connection, or one that can't be reached or identified (`INFO server`): the \
         store uses it for notifications only, and the connection for all requests"
    );
    None
}
