//! The databases, and what differs between them.

use std::time::Duration;

/// The number of connections of each worker. A handler uses two at most: one for its transaction, and one for its lease.
const CONNECTIONS: u32 = 16;
/// How long a database may be unreachable, or busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The types of a database's driver, and a pool that waits until its server is there.
macro_rules! database {
    ($database:ident, $store:ident) => {
        pub(crate) use idem_runtime::$store as Store;

        pub(crate) const NAME: &str = stringify!($database);
        type Db = sqlx::$database;
        pub(crate) type Pool = sqlx::Pool<Db>;
        pub(crate) type Tx<'t> = sqlx::Transaction<'t, Db>;
        pub(crate) type Connection = <Db as sqlx::Database>::Connection;
        type Options = <Connection as sqlx::Connection>::Options;

        pub(crate) fn pool(url: &str) -> Pool {
            let pool = sqlx::pool::PoolOptions::new().max_connections(super::CONNECTIONS);
            pool.acquire_timeout(super::PATIENCE).connect_lazy_with(options(url.parse().unwrap()))
        }
    };
}

pub(crate) mod sqlite {
    use std::path::Path;

    use idem_runtime::Error;

    pub(crate) const SERIAL: &str = "integer PRIMARY KEY AUTOINCREMENT";
    pub(crate) const FOR_UPDATE: &str = "";
    pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";
    /// Such a transaction can't write any more if another has written since it read.
    pub(crate) const BEGIN_STRICT: &str = "BEGIN DEFERRED";

    fn options(options: Options) -> Options {
        use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
        // Only processes are killed here, not the machine, so nothing has to be synced.
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal);
        options.create_if_missing(true).busy_timeout(super::PATIENCE)
    }

    pub(crate) async fn store(url: &str, _pool: &Pool) -> Result<Store, Error> {
        Store::open(Path::new(url.trim_start_matches("sqlite://"))).await
    }

    database!(Sqlite, SqliteStore);
}

pub(crate) mod postgres {
    use idem_runtime::Error;

    pub(crate) const SERIAL: &str = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY";
    pub(crate) const FOR_UPDATE: &str = " FOR UPDATE";
    pub(crate) const BEGIN: &str = "BEGIN";
    pub(crate) const BEGIN_STRICT: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE";

    fn options(options: Options) -> Options {
        options
    }

    pub(crate) async fn store(_url: &str, pool: &Pool) -> Result<Store, Error> {
        Store::open_with(pool.clone()).await
    }

    database!(Postgres, PostgresStore);
}

pub(crate) mod mariadb {
    use idem_runtime::Error;

    pub(crate) const SERIAL: &str = "bigint AUTO_INCREMENT PRIMARY KEY";
    pub(crate) const FOR_UPDATE: &str = " FOR UPDATE";
    /// Repeatable read.
    pub(crate) const BEGIN: &str = "BEGIN";
    pub(crate) const BEGIN_STRICT: &str = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; BEGIN";

    fn options(options: Options) -> Options {
        options
    }

    pub(crate) async fn store(_url: &str, pool: &Pool) -> Result<Store, Error> {
        Store::open_with(pool.clone()).await
    }

    database!(MySql, MySqlStore);
}
