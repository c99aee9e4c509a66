//! Cases in which other libraries of this kind fail, tested on every store. Each module says what those libraries do.

mod blocked;
mod duplicates;
mod expiry;
mod failures;
mod given_back;
mod stores;

/// Makes a test of each of these functions on each store.
macro_rules! on_every_store {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            use idem_tests::server::Kind;

            use crate::stores;

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn memory() {
                super::$name(&stores::memory()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn sqlite() {
                let (store, _folder) = stores::sqlite().await;
                super::$name(&store).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            #[ignore = "starts a Redis server: run by tests/run"]
            async fn redis() {
                let (store, _server) = stores::on(Kind::Redis).await;
                super::$name(&store).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            #[ignore = "starts a PostgreSQL server: run by tests/run"]
            async fn postgres() {
                let (store, _server) = stores::on(Kind::Postgres).await;
                super::$name(&store).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            #[ignore = "starts a MariaDB server: run by tests/run"]
            async fn mysql() {
                let (store, _server) = stores::on(Kind::MariaDb).await;
                super::$name(&store).await;
            }
        })*
    };
}

pub(crate) use on_every_store;
