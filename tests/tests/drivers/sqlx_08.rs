//! sqlx 0.8, on PostgreSQL and MariaDB.

/// A client's connection.
pub(crate) type Connection<C> = <C as HasConnection>::Connection;

pub(crate) trait HasConnection {
    type Connection;
}

macro_rules! client {
    ($connection:ident, $database:ident, $session:literal, $strictly:literal) => {
        use sqlx_08::{Connection as _, Transaction, $connection, $database};

        use super::HasConnection;
        use crate::{Commits, Driver, READ};

        pub(crate) struct Client(pub(crate) $connection);

        impl HasConnection for Client {
            type Connection = $connection;
        }

        impl Driver for Client {
            type Tx<'t> = Transaction<'t, $database>;
            type Handle<'t> = Transaction<'t, $database>;

            async fn connect(url: &str) -> Self {
                Self($connection::connect(url).await.unwrap())
            }

            async fn begin(&mut self) -> Self::Tx<'_> {
                self.0.begin().await.unwrap()
            }

            async fn begin_strictly(&mut self) -> Self::Tx<'_> {
                sqlx_08::raw_sql($session).execute(&mut self.0).await.unwrap();
                let mut tx = self.0.begin_with($strictly).await.unwrap();
                assert!(Self::runs(&mut tx, READ).await);
                tx
            }

            async fn commit(tx: Self::Tx<'_>) {
                Self::try_commit(tx).await.unwrap();
            }

            async fn rollback(tx: Self::Tx<'_>) {
                tx.rollback().await.unwrap();
            }

            async fn runs(tx: &mut Self::Handle<'_>, sql: &str) -> bool {
                sqlx_08::raw_sql(sql).execute(&mut **tx).await.is_ok()
            }
        }

        impl Commits for Client {
            async fn try_commit(tx: Self::Tx<'_>) -> Result<(), idem_runtime::Error> {
                idem_runtime::tx::commit(tx).await
            }
        }
    };
}

pub(crate) mod postgres {
    client!(PgConnection, Postgres, "SELECT 1", "BEGIN ISOLATION LEVEL SERIALIZABLE");
}

pub(crate) mod mariadb {
    // MariaDB waits at any level. The time-out makes it an error after a second.
    client!(MySqlConnection, MySql, "SET SESSION innodb_lock_wait_timeout = 1", "BEGIN");
}
