//! Checking that a user's pool uses the same database, schema and user as the store's own connections.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};

use sqlx::{Database, Pool};

use super::{Connections, Dialect, Failure, LONGEST_STATEMENT};
use crate::error::Error;
use crate::task::timer;

/// The database, the schema and the user of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Place {
    pub(in crate::store) database: Option<String>,
    /// `None` also if the database system has no schemas.
    pub(in crate::store) schema: Option<String>,
    pub(in crate::store) user: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("database", &self.database), ("schema", &self.schema), ("user", &self.user)];
        let parts = parts.into_iter().filter_map(|(name, part)| Some(format!("{name} `{}`", part.as_ref()?)));
        f.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}

/// Asks a connection for its [`Place`], in a statement that leaves nothing in its session.
pub(in crate::store) type Ask<DB> =
    for<'c> fn(&'c mut <DB as Database>::Connection) -> Pin<Box<dyn Future<Output = sqlx::Result<Place>> + Send + 'c>>;

/// Refuses a pool whose connections have another [`Place`] than the store's own. The store opens its own connections
/// with the pool's connect options. The pool's `after_connect` may have changed the place of the pool's connections,
/// and the store would not find the tables there.
pub(in crate::store) async fn compare<D: Dialect, DB: Database>(
    pool: &Pool<DB>,
    own: &Connections<DB>,
    ask: Ask<DB>,
) -> Result<(), Error> {
    let refused =
        |failure: Failure| failure.into_refusal::<D>("its connections could not be asked for their database and user");
    let asked = timer::within(|| LONGEST_STATEMENT, pin!(ask_pool(pool, ask))).await;
    let theirs = match asked.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
        Ok(place) => place,
        Err(sqlx::Error::PoolTimedOut) => {
            let within = LONGEST_STATEMENT.min(pool.options().get_acquire_timeout());
            return Err(Error::config(format!(
                "the pool gave no connection within {within:?} that could be asked for its database and user: open the store \
                 before the pool's connections are all in use, or raise the pool's `max_connections`"
            )));
        }
        Err(sqlx::Error::PoolClosed) => {
            return Err(Error::config("the pool is closed: open the store before that"));
        }
        Err(error) => return Err(refused(error.into())),
    };
    let asked = async {
        let mut connected = own.connect().await?;
        let place = ask(&mut connected).await?;
        own.put_back(connected);
        Ok(place)
    };
    let ours = asked.await.map_err(refused)?;
    if theirs == ours {
        return Ok(());
    }
    Err(Error::config(format!(
        "the pool's connections use {theirs}, but those that the store opens itself with the pool's connect options use \
         {ours}: put what the pool sets in `after_connect` or `before_acquire` into its connect options"
    )))
}

/// Asks one connection of the pool. A connection that fails, for example because its transaction has failed, is closed,
/// and the next one is asked.
async fn ask_pool<DB: Database>(pool: &Pool<DB>, ask: Ask<DB>) -> sqlx::Result<Place> {
    let mut left = pool.options().get_max_connections();
    loop {
        let mut connection = pool.acquire().await?;
        match ask(&mut connection).await {
            Err(_) if left > 0 => {
                left -= 1;
                let _ = connection.close().await;
            }
            answer => return answer,
        }
    }
}
