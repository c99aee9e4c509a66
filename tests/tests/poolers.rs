//! Poolers between a PostgreSQL store and its server: some pool by transaction (each transaction can get another session), others
//! by session.

use std::fmt::{self, Write as _};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use idem_runtime::admin::{self, Entry, Filter, Resolution};
use idem_runtime::conformance::Suite;
use idem_runtime::store::Standing;
use idem_runtime::{Error, Outcome, PostgresStore, idempotent};
use idem_tests::server::{PgBouncer, Postgres};
use idem_tests::stuck;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool, PgTransaction, Row as _};
use tokio::task::{AbortHandle, JoinSet};
use tracing::field::{Field, Visit};

/// The setting with which PgBouncer accepts the parameters that a store gives its connections.
const LENIENT: &str = "ignore_startup_parameters = extra_float_digits,options";
const CLIENTS: u32 = 8;
const KEYS: u32 = 64;

#[idempotent(key = "id", store = store)]
async fn charge(store: &PostgresStore, id: u32) -> Result<Outcome<String>, Error> {
    Ok(format!("charged {id}").into())
}

/// Every client charges every order, and asserts that it gets its own answers. Returns how many charges were executed.
async fn charge_all(stores: &[PostgresStore]) -> usize {
    let mut calls = JoinSet::new();
    for nth in 0..CLIENTS * KEYS {
        let (store, id) = (stores[nth as usize % stores.len()].clone(), nth / CLIENTS);
        calls.spawn(async move {
            loop {
                match charge(&store, id).await {
                    Err(Error::InProgress { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
                    outcome => return (id, outcome.unwrap()),
                }
            }
        });
    }
    let outcomes = calls.join_all().await;
    let executed = outcomes.iter().filter(|(_, outcome)| !outcome.is_replayed()).count();
    for (id, outcome) in outcomes {
        assert_eq!(outcome.into_inner(), format!("charged {id}"));
    }
    executed
}

async fn open_all(pooler: &PgBouncer) -> Vec<Result<PostgresStore, Error>> {
    let mut opening = JoinSet::new();
    for _ in 0..CLIENTS {
        let url = pooler.url();
        opening.spawn(async move { PostgresStore::open(&url).await });
    }
    opening.join_all().await
}

/// Clients that keep the pooler's sessions busy until this is dropped.
struct Busy(Vec<AbortHandle>);

impl Busy {
    async fn start(pooler: &PgBouncer) -> Self {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut connection = PgConnection::connect(&pooler.url()).await.unwrap();
            let client = async move {
                loop {
                    connection.execute("SELECT pg_sleep(0.001)").await.unwrap();
                }
            };
            clients.push(tokio::spawn(client).abort_handle());
        }
        Self(clients)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

fn assert_refused(error: &Error) {
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    assert!(error.to_string().contains("open the store with `simple_queries(true)`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn a_pooler_by_transaction_is_found_when_the_store_is_opened() {
    let server = Postgres::start().await;
    // A pooler that refuses the store's parameters; one that accepts them, with no other client; and one with many other clients.
    let strict = PgBouncer::start(&server).await;
    assert_refused(&PostgresStore::open(&strict.url()).await.unwrap_err());
    let pooler = PgBouncer::start_with(&server, &[LENIENT]).await;
    assert_refused(&PostgresStore::open(&pooler.url()).await.unwrap_err());
    let pool = PgPool::connect(&pooler.url()).await.unwrap();
    assert_refused(&PostgresStore::open_with(pool).await.unwrap_err());
    let _busy = Busy::start(&pooler).await;
    for opened in open_all(&pooler).await {
        assert_refused(&opened.unwrap_err());
    }
}

/// Two connections that send requests in turn get the sessions in turn.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn a_pooler_by_transaction_that_gives_its_sessions_in_turn_is_found() {
    let server = Postgres::start().await;
    let settings = [LENIENT, "default_pool_size = 2", "server_round_robin = 1"];
    let pooler = PgBouncer::start_with(&server, &settings).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = PgConnection::connect(&pooler.url()).await.unwrap();
        client.execute("BEGIN").await.unwrap();
        clients.push(client);
    }
    for client in &mut clients {
        client.execute("COMMIT").await.unwrap();
    }
    let mut processes = Vec::new();
    for nth in 0..8 {
        let asked = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(&mut clients[nth % 2]).await.unwrap();
        processes.push(asked.get::<i32, _>(0));
    }
    assert!(processes[0] != processes[1] && processes.chunks(2).all(|pair| pair == &processes[..2]), "{processes:?}");
    assert_refused(&PostgresStore::open(&pooler.url()).await.unwrap_err());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn eight_clients_get_their_own_answers_through_a_pooler_by_transaction() {
    let server = Postgres::start().await;
    let pooler = PgBouncer::start(&server).await;
    let options = || PostgresStore::options().simple_queries(true);
    Suite::new().processes(2).run(async || options().table("order").open(&pooler.url()).await.unwrap()).await;
    let mut stores = Vec::new();
    for _ in 0..CLIENTS {
        let pool = PgPool::connect_lazy(&pooler.url()).unwrap();
        stores.push(options().open_with(pool).await.unwrap());
    }
    assert_eq!(charge_all(&stores).await, KEYS as usize);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn an_operator_gets_through_a_pooler_of_either_kind() {
    let server = Postgres::start().await;
    let expected = stuck::leave(&PostgresStore::open(&server.url()).await.unwrap()).await;
    for (nth, settings) in [&[][..], &["pool_mode = session"]].into_iter().enumerate() {
        let pooler = PgBouncer::start_with(&server, settings).await;
        let operator = admin::connect(&pooler.url()).await.unwrap();
        let orphans = operator.list(Filter::all().orphans()).await.unwrap();
        assert_eq!(orphans.len(), expected.len() - nth);
        let Entry { scope, key, .. } = &orphans[0];
        assert!(operator.get(scope, key).await.unwrap().is_some());
        assert_eq!(operator.stats().await.unwrap().orphaned, orphans.len() as u64);
        assert_eq!(operator.resolve(scope, key, Resolution::NotExecuted).await.unwrap(), Standing::Held);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn eight_clients_get_their_own_answers_through_a_pooler_by_session() {
    let server = Postgres::start().await;
    let pooler = PgBouncer::start_with(&server, &[LENIENT, "pool_mode = session", "default_pool_size = 200"]).await;
    let stores: Vec<_> = open_all(&pooler).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(charge_all(&stores).await, KEYS as usize);
}

/// With room for one connection, the store can't compare two. If other clients use the pooler, one connection is enough to notice
/// that its session changes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn a_busy_pooler_by_transaction_with_room_for_one_connection_is_found() {
    let server = Postgres::start().await;
    let pooler = PgBouncer::start_with(&server, &[LENIENT, "max_client_conn = 9"]).await;
    let _busy = Busy::start(&pooler).await;
    assert_refused(&PostgresStore::open(&pooler.url()).await.unwrap_err());
}

/// Since 1.21, PgBouncer keeps the prepared statements of its clients apart. An older one has no such setting and mixes them up, so
/// the store refuses it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn a_pooler_by_transaction_that_keeps_statements_is_let_be() {
    let server = Postgres::start().await;
    if !PgBouncer::keeps_statements() {
        let pooler = PgBouncer::start_with(&server, &[LENIENT]).await;
        return assert_refused(&PostgresStore::open(&pooler.url()).await.unwrap_err());
    }
    let pooler = PgBouncer::start_with(&server, &[LENIENT, "max_prepared_statements = 200"]).await;
    Suite::new().processes(2).run(async || PostgresStore::open(&pooler.url()).await.unwrap()).await;
    let _busy = Busy::start(&pooler).await;
    let stores: Vec<_> = open_all(&pooler).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(charge_all(&stores).await, KEYS as usize);
}

/// The store's second connection is accepted by the pooler, and waits for a session. No call waits for it.
#[tokio::test]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn a_pooler_by_session_with_one_session_is_enough() {
    let server = Postgres::start().await;
    let pooler = PgBouncer::start_with(&server, &[LENIENT, "pool_mode = session", "default_pool_size = 1"]).await;
    let warnings = Warnings::of_this_program();
    let stores = [PostgresStore::open(&pooler.url()).await.unwrap()];
    let begun = Instant::now();
    assert_eq!(charge_all(&stores).await, KEYS as usize);
    while begun.elapsed() < Duration::from_secs(14) {
        let asked = Instant::now();
        assert!(charge(&stores[0], 0).await.unwrap().is_replayed());
        // The store waits three seconds for another connection; a call must not.
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let told = warnings.told();
    assert!(told.contains("no further connection") && told.contains("TimedOut"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn a_pooler_with_room_for_two_connections_is_enough() {
    let server = Postgres::start().await;
    let pooler = PgBouncer::start_with(&server, &[LENIENT, "pool_mode = session", "max_client_conn = 2"]).await;
    let store = PostgresStore::open(&pooler.url()).await.unwrap();
    let stores = [store];
    assert_eq!(charge_all(&stores).await, KEYS as usize);

    // If the pooler has no room at all, the error must not blame the store's settings.
    let error = PostgresStore::open(&pooler.url()).await.unwrap_err().to_string();
    assert!(error.contains("no more connections allowed"), "{error}");
    assert!(!error.contains("simple_queries"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn a_pooler_by_transaction_is_found_once_there_is_a_second_connection() {
    let server = Postgres::start().await;
    let pooler = PgBouncer::start_with(&server, &[LENIENT, "max_client_conn = 2"]).await;
    let other = PgConnection::connect(&pooler.url()).await.unwrap();
    let store = PostgresStore::open(&pooler.url()).await.unwrap();
    assert!(!charge(&store, 0).await.unwrap().is_replayed(), "one connection has its own answers");
    other.close().await.unwrap();

    let deadline = Instant::now() + Duration::from_secs(60);
    let error = loop {
        assert!(Instant::now() < deadline, "two connections were not compared");
        if let Err(error) = charge(&store, 0).await {
            break error;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    for error in [error, charge(&store, 1).await.unwrap_err()] {
        assert!(matches!(error, Error::Store { .. }), "{error:?}");
        assert!(error.to_string().contains("open the store with `simple_queries(true)`"), "{error}");
    }
    // The store has closed its connections, so there is room for others.
    for _ in 0..2 {
        PgConnection::connect(&pooler.url()).await.unwrap();
    }
}

/// Collects the library's warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<String>>);

impl Warnings {
    /// All warnings of this process, from the first use on.
    fn of_this_program() -> Self {
        static ALL: LazyLock<Warnings> = LazyLock::new(|| {
            let warnings = Warnings::default();
            tracing::subscriber::set_global_default(warnings.clone()).unwrap();
            warnings
        });
        ALL.clone()
    }

    fn told(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Visit for Warnings {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{value:?}").unwrap();
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[idempotent(key = "id", tx = "tx")]
async fn book(tx: &mut PgTransaction<'_>, id: u32) -> Result<Outcome<u32>, Error> {
    tx.execute("SELECT 1").await.unwrap();
    Ok(id.into())
}

#[idempotent(key = "id", tx = "tx")]
async fn book_unnamed(tx: &tokio_postgres::Transaction<'_>, id: u32) -> Result<Outcome<u32>, Error> {
    tx.batch_execute("SELECT 1").await.unwrap();
    Ok(id.into())
}

/// The only transactions of this test binary.
#[tokio::test]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn the_first_transaction_after_a_finding_that_names_what_it_prepares_is_warned() {
    let server = Postgres::start().await;
    let pooler = PgBouncer::start_with(&server, &[LENIENT]).await;
    let pool = PgPool::connect(&server.url()).await.unwrap();
    PostgresStore::migrate(pool.clone()).await.unwrap();
    let warnings = Warnings::of_this_program();
    assert_refused(&PostgresStore::open(&pooler.url()).await.unwrap_err());
    let (mut client, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let tx = client.transaction().await.unwrap();
    book_unnamed(&tx, 0).await.unwrap();
    tx.commit().await.unwrap();
    let told = || warnings.told().matches("has found a pooler").count();
    assert_eq!(told(), 0, "tokio-postgres is the way out");
    for id in 0..3 {
        let mut tx = pool.begin().await.unwrap();
        book(&mut tx, id).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(told(), 1);
}
