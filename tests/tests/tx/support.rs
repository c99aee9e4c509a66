//! A database of each kind, with a table for effects.

use idem_runtime::{Error, tx};

/// A handler's error.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Its own.
    Declined,
    /// Its SQL's.
    Sql(#[expect(dead_code, reason = "shown where a test fails")] sqlx::Error),
    /// The library's.
    Refused(Error),
}

impl Failed {
    pub(crate) fn refusal(self) -> Error {
        match self {
            Self::Refused(error) => error,
            other => panic!("not the library's error: {other:?}"),
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

/// What the business writes, one row for each time.
const EFFECTS: &str = "CREATE TABLE IF NOT EXISTS effects (id varchar(200) NOT NULL)";

/// How a pool of connections is made, and what differs in a transaction.
macro_rules! database {
    ($database:ident, $store:ident) => {
        use idem_runtime::$store as Store;
        use idem_runtime::{Outcome, idempotent};
        use sqlx::Executor as _;

        pub(crate) type Db = sqlx::$database;
        pub(crate) type Tx<'t> = sqlx::Transaction<'t, Db>;
        pub(crate) type Connection = <Db as sqlx::Database>::Connection;

        /// A database, its tables made.
        pub(crate) struct Bench {
            pub(crate) pool: sqlx::Pool<Db>,
            pub(crate) url: String,
            #[allow(dead_code, reason = "it is stopped with this")]
            pub(crate) home: Home,
        }

        impl Bench {
            pub(crate) async fn new() -> Self {
                let (url, home) = home().await;
                let pool = sqlx::pool::PoolOptions::<Db>::new().max_connections(20).connect(&url).await.unwrap();
                pool.execute(sqlx::raw_sql(tx::schema(tx::Database::$database))).await.unwrap();
                pool.execute(EFFECTS).await.unwrap();
                Self { pool, url, home }
            }

            /// A transaction in which R23 holds without an error.
            pub(crate) async fn begin(&self) -> Tx<'static> {
                self.pool.begin_with(BEGIN).await.unwrap()
            }

            /// How often a business fact took effect.
            pub(crate) async fn effects(&self, id: &str) -> i64 {
                number(&self.pool, format!("SELECT count(*) FROM effects WHERE id = '{id}'")).await
            }

            /// How many keys there are of a handler.
            pub(crate) async fn rows(&self, scope: &str) -> i64 {
                number(&self.pool, format!("SELECT count(*) FROM idempotency WHERE scope = '{scope}'")).await
            }

            /// The same tables as a store.
            pub(crate) async fn store(&self) -> Store {
                store(&self.url).await
            }

            /// Waits until another transaction has to wait for one.
            pub(crate) async fn someone_waits(&self) {
                tokio::time::timeout(std::time::Duration::from_secs(10), self.sees_waiting())
                    .await
                    .expect("nobody waits");
            }

            pub(crate) async fn execute(&self, sql: String) {
                self.pool.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
            }
        }

        pub(crate) async fn begin(bench: &Bench, begin: &str) -> Tx<'static> {
            bench.pool.begin_with(sqlx::AssertSqlSafe(begin.to_owned())).await.unwrap()
        }

        /// Begins a transaction that sqlx doesn't know of.
        pub(crate) async fn begun_by_text(connection: &mut Connection) {
            connection.execute(sqlx::raw_sql(BEGIN)).await.unwrap();
        }

        async fn number(pool: &sqlx::Pool<Db>, sql: String) -> i64 {
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.unwrap()
        }

        /// Takes effect.
        pub(crate) async fn effect(tx: &mut Connection, id: &str) -> Result<(), Failed> {
            tx.execute(sqlx::AssertSqlSafe(format!("INSERT INTO effects (id) VALUES ('{id}')"))).await?;
            Ok(())
        }

        #[idempotent(key = "id", tx = "tx")]
        pub(crate) async fn book(tx: &mut Tx<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failed> {
            effect(tx, id).await?;
            Ok(amount.into())
        }

        /// The scope of its keys.
        pub(crate) const BOOK: &str = concat!(module_path!(), "::book");
    };
}

pub(crate) mod sqlite {
    pub(crate) use super::Failed;
    use super::{EFFECTS, tx};

    pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";
    pub(crate) type Home = tempfile::TempDir;

    async fn home() -> (String, Home) {
        let home = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", home.path().join("ledger.db").display());
        // Readers and a writer side by side, as `SqliteStore` has it.
        let mut connection = <Connection as sqlx::Connection>::connect(&url).await.unwrap();
        connection.execute("PRAGMA journal_mode = WAL").await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
        (url, home)
    }

    async fn store(url: &str) -> Store {
        let path = url.trim_start_matches("sqlite://").trim_end_matches("?mode=rwc");
        Store::open(path).await.unwrap()
    }

    pub(crate) const REFUSE_UPDATES: &str =
        "CREATE TRIGGER refuse BEFORE UPDATE ON idempotency BEGIN SELECT RAISE(ABORT, 'refused'); END";

    impl Bench {
        /// Who waits for SQLite's lock isn't seen: it has had the time to.
        async fn sees_waiting(&self) {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }

        /// Has the database undo a transaction: `run` runs a statement in it, and says whether that succeeded.
        pub(crate) async fn undo(&self, mut run: impl AsyncFnMut(&'static str) -> bool) {
            assert!(!run("INSERT OR ROLLBACK INTO effects (id) VALUES (NULL)").await);
        }
    }

    database!(Sqlite, SqliteStore);
}

pub(crate) mod postgres {
    pub(crate) use super::Failed;
    use super::{EFFECTS, tx};

    pub(crate) const BEGIN: &str = "BEGIN";
    pub(crate) type Home = idem_tests::server::Postgres;

    async fn home() -> (String, Home) {
        let home = Home::start().await;
        (home.url(), home)
    }

    async fn store(url: &str) -> Store {
        Store::open(url).await.unwrap()
    }

    pub(crate) const REFUSE_UPDATES: &str = "\
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON idempotency FOR EACH ROW EXECUTE FUNCTION refuse()";

    impl Bench {
        async fn sees_waiting(&self) {
            while number(&self.pool, "SELECT count(*) FROM pg_locks WHERE NOT granted".to_owned()).await == 0 {
                tokio::task::yield_now().await;
            }
        }

        /// Has the database undo a transaction: `run` runs a statement in it, and says whether that succeeded.
        pub(crate) async fn undo(&self, mut run: impl AsyncFnMut(&'static str) -> bool) {
            assert!(!run("SELECT 1 / 0").await);
        }
    }

    database!(Postgres, PostgresStore);
}

pub(crate) mod mariadb {
    pub(crate) use super::Failed;
    use super::{EFFECTS, tx};

    pub(crate) const BEGIN: &str = "BEGIN";
    pub(crate) type Home = idem_tests::server::MariaDb;

    async fn home() -> (String, Home) {
        let home = Home::start().await;
        (home.url(), home)
    }

    async fn store(url: &str) -> Store {
        Store::open(url).await.unwrap()
    }

    pub(crate) const REFUSE_UPDATES: &str = "\
        CREATE TRIGGER refuse BEFORE UPDATE ON idempotency FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'";

    impl Bench {
        async fn sees_waiting(&self) {
            let waiting = "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status \
                           WHERE variable_name = 'Innodb_row_lock_current_waits'";
            while number(&self.pool, waiting.to_owned()).await == 0 {
                tokio::task::yield_now().await;
            }
        }

        /// Has the database undo a transaction, as the victim of a deadlock: `run` runs a statement in it, and says whether
        /// that succeeded.
        pub(crate) async fn undo(&self, mut run: impl AsyncFnMut(&'static str) -> bool) {
            const P: &str = "UPDATE accounts SET cents = cents + 1 WHERE id = 'p'";
            const Q: &str = "UPDATE accounts SET cents = cents + 1 WHERE id = 'q'";

            let accounts = "CREATE TABLE IF NOT EXISTS accounts (id varchar(1) PRIMARY KEY, cents bigint NOT NULL); \
                            INSERT IGNORE INTO accounts VALUES ('p', 0), ('q', 0)";
            self.execute(accounts.to_owned()).await;
            let mut other = self.begin().await;
            // The heavier transaction survives.
            for n in 0..50 {
                effect(&mut other, &format!("weight {n}")).await.unwrap();
            }
            assert!(run(P).await);
            (&mut *other).execute(Q).await.unwrap();
            let loses = async {
                self.someone_waits().await;
                run(Q).await
            };
            let (won, succeeded) = tokio::join!((&mut *other).execute(P), loses);
            won.unwrap();
            assert!(!succeeded, "a deadlock has a victim");
            other.rollback().await.unwrap();
        }
    }

    database!(MySql, MySqlStore);
}
