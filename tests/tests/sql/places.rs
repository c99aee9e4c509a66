//! A store that was opened with a user's pool has connections of its own: they have to lead to the same tables as the pool's.

use std::time::{Duration, Instant};

use idem_runtime::{Error, Outcome, idempotent};
use idem_tests::proxy::Proxy;
use sqlx::Executor as _;
use tokio::task::JoinSet;

use super::{
    CHANGE_PASSWORD, CONNECTIONS_OF_APP, CREATE_ELSEWHERE, GO_ELSEWHERE, HOME, Options, Server, Store, app, elsewhere,
    limit, number, pool, sql,
};
use crate::{charge, charge_all};

/// How many tables and views there are in the other place.
const ELSEWHERE: &str = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'elsewhere'";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_pool_whose_connections_are_led_elsewhere_is_refused() {
    let server = Server::start().await;
    sql(&server, CREATE_ELSEWHERE).await;
    let moved = pool(2).after_connect(|connection, _| {
        Box::pin(async move { connection.execute(sqlx::raw_sql(GO_ELSEWHERE)).await.map(drop) })
    });
    let moved = moved.connect(&server.url()).await.unwrap();
    let errors = [Store::open_with(moved.clone()).await.unwrap_err(), Store::migrate(moved.clone()).await.unwrap_err()];
    for error in errors {
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        let told = error.to_string();
        for part in ["`elsewhere`", &format!("`{HOME}`"), "connect options"] {
            assert!(told.contains(part), "{told}");
        }
    }
    assert_eq!(number(&server, ELSEWHERE).await, 0, "no table is made anywhere");

    let options = elsewhere(server.url().parse::<Options>().unwrap());
    let told = pool(2).connect_with(options).await.unwrap();
    charge(&Store::open_with(told).await.unwrap(), "order").await.unwrap();
    assert_eq!(number(&server, ELSEWHERE).await, 3, "the pool's connect options lead the store there too");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_password_that_the_pool_was_told_is_the_stores_from_then_on() {
    let server = Server::start().await;
    let options = app(&server).await;
    let pool = pool(2).connect_with(options("one")).await.unwrap();
    let store = Store::open_with(pool.clone()).await.unwrap();
    charge_all(&store, 8).await;
    sql(&server, CHANGE_PASSWORD).await;
    pool.set_connect_options(options("two"));
    // After the restart, no connection is left that was opened with the old password.
    server.restart().await;
    assert!(charge_all(&store, 8).await.iter().all(Outcome::is_replayed));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_server_with_one_connection_left_is_enough() {
    let server = Server::start().await;
    let options = app(&server).await;
    sql(&server, &limit(2)).await;
    let pool = pool(1).connect_with(options("one")).await.unwrap();
    let store = Store::open_with(pool.clone()).await.unwrap();
    assert_eq!(charge_all(&store, 64).await.len(), 64);
    assert_eq!(number(&server, CONNECTIONS_OF_APP).await, 2, "the pool's and the store's");

    // The store opens more connections as soon as the server accepts more.
    sql(&server, &limit(20)).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while number(&server, CONNECTIONS_OF_APP).await < 3 {
        assert!(Instant::now() < deadline, "the store has opened no further connection");
        charge_all(&store, 64).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_store_with_a_pool_takes_as_many_connections_as_it_was_told() {
    let server = Server::start().await;
    let options = app(&server).await;
    let pool = pool(1).connect_with(options("one")).await.unwrap();
    let store = Store::options().max_connections(3).open_with(pool).await.unwrap();
    for _ in 0..8 {
        charge_all(&store, 64).await;
        let taken = number(&server, CONNECTIONS_OF_APP).await - 1;
        // Three, and at most three spare ones, which the store opens if it has to wait on a busy machine.
        assert!((1..=6).contains(&taken), "{taken}");
    }
}

#[idempotent(key = "id", store = store, lease = "900ms")]
async fn hurry(store: &Store, id: u32) -> Result<Outcome<u32>, Error> {
    Ok(id.into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn callers_that_give_up_while_a_connection_is_opened_make_no_room_for_others() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let store = Store::options().max_connections(2).open(&proxy.url(&server.url())).await.unwrap();
    hurry(&store, 0).await.unwrap();
    proxy.fall_silent();
    let mut calls = JoinSet::new();
    for nth in 0..20 {
        let store = store.clone();
        calls.spawn(async move {
            for id in 0..4 {
                hurry(&store, nth * 4 + id + 1).await.unwrap_err();
            }
        });
    }
    calls.join_all().await;
    // Two, and at most two spare ones.
    assert!((1..=4).contains(&proxy.most_unheard()), "{} at once", proxy.most_unheard());
}
