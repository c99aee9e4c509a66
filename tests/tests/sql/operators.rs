//! What an operator sees: the view of stuck keys, and a store that is opened without a change.

use idem_runtime::admin::{self, Filter, Resolution};
use idem_runtime::protocol::State;
use idem_runtime::store::{Key, Standing};
use idem_runtime::{Error, IdempotencyAdmin, tx};
use idem_tests::log::Log;
use idem_tests::stuck;
use sqlx::{Connection as _, Executor as _, Row as _};

use super::{
    ADMIN, CREATE_USER, Connection, DATABASE, HOME, Pool, SINCE_IS_NO_CLAIM, Server, Store, URL, connect, number, open,
    sql,
};
use crate::charge;

/// The keys and the reasons that the book's query on the view returns.
async fn shown(connection: &mut Connection) -> Vec<(String, String)> {
    let rows = connection.fetch_all(stuck::query()).await.unwrap();
    let mut shown = Vec::new();
    for row in rows {
        assert_eq!(row.get::<String, _>(0), stuck::SCOPE);
        shown.push((row.get(1), row.get(2)));
    }
    shown.sort();
    shown
}

/// Every row, with the columns that a write would change.
async fn rows(operator: &dyn IdempotencyAdmin) -> Vec<(Key, State, u64)> {
    let entries = operator.list(Filter::all()).await.unwrap();
    entries.into_iter().map(|entry| (entry.key, entry.row.state, entry.row.fence)).collect()
}

/// How many tables and views there are.
async fn tables(server: &Server) -> i64 {
    number(server, &format!("SELECT count(*) FROM information_schema.tables WHERE table_schema = '{HOME}'")).await
}

/// Creates a user with these rights. Returns its URL.
async fn user(server: &Server, grants: &[&str]) -> String {
    sql(server, CREATE_USER).await;
    for grant in grants {
        sql(server, &format!("GRANT {grant} TO app")).await;
    }
    server.url().replace(ADMIN, "app@")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn the_view_shows_the_keys_that_nobody_is_working_on() {
    let server = Server::start().await;
    let store = open(&server).await;
    let expected = stuck::leave(&store).await;
    assert_eq!(shown(&mut connect(&server).await).await, expected);
    assert_eq!(number(&server, SINCE_IS_NO_CLAIM).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn who_may_only_select_can_look_and_changes_nothing() {
    let server = Server::start().await;
    let expected = stuck::leave(&open(&server).await).await;
    let url = user(&server, &["SELECT ON idem_keys", "SELECT ON idem_keys_schema", "SELECT ON idem_keys_stuck"]).await;
    assert_eq!(shown(&mut Connection::connect(&url).await.unwrap()).await, expected);

    let operator = admin::connect(&url).await.unwrap();
    let all = rows(&*operator).await;
    let orphans = operator.list(Filter::all().orphans()).await.unwrap();
    assert_eq!(orphans.len(), expected.len());
    let mut visited = 0;
    operator.visit(&Filter::all().scope(stuck::SCOPE), &mut |_| visited += 1).await.unwrap();
    let stats = operator.stats().await.unwrap();
    assert_eq!((visited, stats.completed, stats.orphaned), (expected.len() + 5, 1, expected.len() as u64));
    let (scope, key) = (&orphans[0].scope, &orphans[0].key);
    assert!(operator.get(scope, key).await.unwrap().unwrap().0.is_orphan());

    operator.resolve(scope, key, Resolution::NotExecuted).await.unwrap_err();
    operator.forget(scope, key).await.unwrap_err();
    assert_eq!(rows(&*operator).await, all);

    let owner = admin::connect(&server.url()).await.unwrap();
    assert_eq!(owner.resolve(scope, key, Resolution::NotExecuted).await.unwrap(), Standing::Held);
    assert_eq!(shown(&mut connect(&server).await).await.len(), expected.len() - 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn opening_a_store_for_an_operator_makes_nothing() {
    let server = Server::start().await;
    let error = admin::connect(&server.url()).await.map(drop).unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    assert!(error.to_string().contains("its tables could not be read"), "{error}");
    assert_eq!(tables(&server).await, 0);

    open(&server).await;
    assert_eq!(tables(&server).await, 3);
    sql(&server, "DROP VIEW idem_keys_stuck").await;
    admin::connect(&server.url()).await.unwrap();
    Store::options().migrate(false).open(&server.url()).await.unwrap();
    assert_eq!(tables(&server).await, 2);
    // Tables that were created before the library had the view get it now.
    open(&server).await;
    assert_eq!(tables(&server).await, 3);
}

/// The tables of tx mode, as an application has them among its migrations.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn the_schema_of_tx_mode_has_the_view_and_can_be_run_again() {
    let server = Server::start().await;
    for _ in 0..2 {
        sql(&server, tx::schema(DATABASE)).await;
        assert_eq!(tables(&server).await, 3);
    }
    assert_eq!(shown(&mut connect(&server).await).await, []);
}

#[tokio::test]
#[ignore = "starts a server: run by tests/run"]
async fn a_view_that_may_not_be_created_is_a_warning() {
    let server = Server::start().await;
    open(&server).await;
    sql(&server, "DROP VIEW idem_keys_stuck").await;
    let url = user(&server, &["SELECT, INSERT, UPDATE, DELETE ON idem_keys", "SELECT ON idem_keys_schema"]).await;
    let log = Log::default();
    let _logged = tracing::subscriber::set_default(log.clone());
    let warned = async |options: super::StoreOptions| {
        log.take();
        let store = options.open(&url).await.unwrap();
        let warned = log.take();
        charge(&store, "order").await.unwrap();
        warned
    };
    let warning = warned(Store::options()).await;
    assert!(warning.contains("the view `idem_keys_stuck`") && warning.contains("run stuck.sql"), "{warning}");
    let unmigrated = warned(Store::options().migrate(false)).await;
    assert!(!unmigrated.contains("idem_keys_stuck"), "nothing was to be created: {unmigrated}");

    Store::migrate(Pool::connect(&server.url()).await.unwrap()).await.unwrap();
    sql(&server, "GRANT SELECT ON idem_keys_stuck TO app").await;
    let content = warned(Store::options()).await;
    assert!(!content.contains("idem_keys_stuck"), "{content}");
}

#[tokio::test]
async fn a_parameter_that_is_unknown_or_repeated_is_refused() {
    let (scheme, _) = URL.split_once(':').unwrap();
    for (parameters, told) in [
        ("statement-cache-capacitance=hunter2", "unknown parameter `statement-cache-capacitance`"),
        ("ssl-mode=DISABLED&sslmode=hunter2", "mode` more than once"),
        ("statement-cache-capacity=1&statement-cache-capacity=2", "`statement-cache-capacity` more than once"),
    ] {
        let url = format!("{scheme}://app:hunter2@127.0.0.1:1/db?{parameters}");
        for error in [
            Store::open(&url).await.unwrap_err(),
            idem_runtime::connect(&url).await.unwrap_err(),
            admin::connect(&url).await.map(drop).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Config { .. }), "{error:?}");
            assert!(error.to_string().contains(told), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
