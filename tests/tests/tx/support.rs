//! A database of each kind, with the library's tables and a table for effects.

use idem_runtime::{Error, tx};

/// A handler's error.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The handler's own error.
    Declined,
    /// An error of the handler's SQL.
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

/// The table of effects: a handler's body inserts a row each time that it runs.
const EFFECTS: &str = "CREATE TABLE IF NOT EXISTS effects (id varchar(200) NOT NULL)";

/// What the tests need of a database, with the types of its driver.
macro_rules! database {
    ($database:ident, $store:ident) => {
        use idem_runtime::$store as Store;
        use idem_runtime::{Outcome, idempotent};
        use sqlx::Executor as _;

        pub(crate) const DATABASE: tx::Database = tx::Database::$database;
        pub(crate) type Db = sqlx::$database;
        pub(crate) type Tx<'t> = sqlx::Transaction<'t, Db>;
        pub(crate) type Connection = <Db as sqlx::Database>::Connection;

        /// A database with its tables, and a pool of connections to it.
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
                pool.execute(sqlx::raw_sql(tx::schema(DATABASE))).await.unwrap();
                pool.execute(EFFECTS).await.unwrap();
                Self { pool, url, home }
            }

            /// A transaction in which R23 holds without an error.
            pub(crate) async fn begin(&self) -> Tx<'static> {
                self.pool.begin_with(BEGIN).await.unwrap()
            }

            /// How often a body with this id took effect.
            pub(crate) async fn effects(&self, id: &str) -> i64 {
                number(&self.pool, format!("SELECT count(*) FROM effects WHERE id = '{id}'")).await
            }

            /// How many rows there are with this scope.
            pub(crate) async fn rows(&self, scope: &str) -> i64 {
                number(&self.pool, format!("SELECT count(*) FROM idem_keys WHERE scope = '{scope}'")).await
            }

            /// A store on the same tables.
            pub(crate) async fn store(&self) -> Store {
                store(&self.url).await
            }

            /// Waits until a transaction has to wait for another.
            pub(crate) async fn someone_waits(&self) {
                tokio::time::timeout(std::time::Duration::from_secs(10), self.sees_waiting())
                    .await
                    .expect("no transaction waits for another");
            }

            pub(crate) async fn execute(&self, sql: String) {
                self.pool.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
            }
        }

        pub(crate) async fn begin(bench: &Bench, begin: &str) -> Tx<'static> {
            bench.pool.begin_with(sqlx::AssertSqlSafe(begin.to_owned())).await.unwrap()
        }

        /// Begins a transaction by its text, so that sqlx doesn't know of it.
        pub(crate) async fn begun_by_text(connection: &mut Connection) {
            connection.execute(sqlx::raw_sql(BEGIN)).await.unwrap();
        }

        async fn number(pool: &sqlx::Pool<Db>, sql: String) -> i64 {
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.unwrap()
        }

        /// The effect of a body: inserts a row.
        pub(crate) async fn effect(tx: &mut Connection, id: &str) -> Result<(), Failed> {
            tx.execute(sqlx::AssertSqlSafe(format!("INSERT INTO effects (id) VALUES ('{id}')"))).await?;
            Ok(())
        }

        #[idempotent(key = "id", tx = "tx")]
        pub(crate) async fn book(tx: &mut Tx<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failed> {
            effect(tx, id).await?;
            Ok(amount.into())
        }

        /// The scope of `book`.
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
        // WAL mode, as `SqliteStore` uses it: readers don't block the writer.
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
        "CREATE TRIGGER refuse BEFORE UPDATE ON idem_keys BEGIN SELECT RAISE(ABORT, 'refused'); END";

    impl Bench {
        /// SQLite doesn't show who waits for its lock, so this waits for a time in which the other has begun to.
        async fn sees_waiting(&self) {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }

        /// Makes the database roll a transaction back: `run` runs a statement in it, and returns whether that succeeded.
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
        CREATE TRIGGER refuse BEFORE UPDATE ON idem_keys FOR EACH ROW EXECUTE FUNCTION refuse()";

    impl Bench {
        async fn sees_waiting(&self) {
            while number(&self.pool, "SELECT count(*) FROM pg_locks WHERE NOT granted".to_owned()).await == 0 {
                tokio::task::yield_now().await;
            }
        }

        /// Makes the database roll a transaction back: `run` runs a statement in it, and returns whether that succeeded.
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
        CREATE TRIGGER refuse BEFORE UPDATE ON idem_keys FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'";

    impl Bench {
        async fn sees_waiting(&self) {
            let waiting = "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status \
                           WHERE variable_name = 'Innodb_row_lock_current_waits'";
            while number(&self.pool, waiting.to_owned()).await == 0 {
                tokio::task::yield_now().await;
            }
        }

        /// Makes the database roll a transaction back, as the victim of a deadlock: `run` runs a statement in it, and returns
        /// whether that succeeded.
        pub(crate) async fn undo(&self, mut run: impl AsyncFnMut(&'static str) -> bool) {
            const P: &str = "UPDATE accounts SET cents = cents + 1 WHERE id = 'p'";
            const Q: &str = "UPDATE accounts SET cents = cents + 1 WHERE id = 'q'";

            let accounts = "CREATE TABLE IF NOT EXISTS accounts (id varchar(1) PRIMARY KEY, cents bigint NOT NULL); \
                            INSERT IGNORE INTO accounts VALUES ('p', 0), ('q', 0)";
            self.execute(accounts.to_owned()).await;
            let mut other = self.begin().await;
            // InnoDB rolls back the transaction that has changed fewer rows.
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
