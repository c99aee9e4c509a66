//! sea-orm, on each of its databases.

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use super::{Commits, Driver, READ};

pub(crate) struct Client(DatabaseConnection);

impl Driver for Client {
    type Tx<'t> = DatabaseTransaction;
    type Handle<'t> = DatabaseTransaction;

    async fn connect(url: &str) -> Self {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(true);
        Self(Database::connect(options).await.unwrap())
    }

    async fn begin(&mut self) -> DatabaseTransaction {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        self.0.begin_with_options(options).await.unwrap()
    }

    async fn begin_strictly(&mut self) -> DatabaseTransaction {
        let backend = self.0.get_database_backend();
        let level = match backend {
            // MariaDB waits at any level. The time-out makes it an error after a second.
            DbBackend::MySql => {
                self.0.execute_unprepared("SET SESSION innodb_lock_wait_timeout = 1").await.unwrap();
                None
            }
            DbBackend::Postgres => Some(IsolationLevel::Serializable),
            _ => None,
        };
        let tx = self.0.begin_with_config(level, None).await.unwrap();
        tx.query_one_raw(Statement::from_string(backend, READ)).await.unwrap();
        tx
    }

    async fn commit(tx: Self::Tx<'_>) {
        Self::try_commit(tx).await.unwrap();
    }

    async fn rollback(tx: Self::Tx<'_>) {
        tx.rollback().await.unwrap();
    }

    async fn runs(tx: &mut Self::Handle<'_>, sql: &str) -> bool {
        tx.execute_unprepared(sql).await.is_ok()
    }
}

impl Commits for Client {
    async fn try_commit(tx: Self::Tx<'_>) -> Result<(), idem_runtime::Error> {
        idem_runtime::tx::commit(tx).await
    }
}
