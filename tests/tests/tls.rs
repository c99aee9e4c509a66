//! Connections over TLS to servers whose certificates are signed by an authority that the test has made.

#![cfg(feature = "tls")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use idem_runtime::store::{ClaimAnswer, ClaimRequest, Key, Owner, WaitRequest};
use idem_runtime::{AnyStore, Error, IdempotencyStore, Outcome, RedisStore, connect, idempotent};
use idem_tests::server::{Authority, MariaDb, Postgres, Redis, free_port};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, TlsCertificates};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

#[idempotent(key = "id", store = store, scope = "tls::charge")]
async fn charge(store: &AnyStore, id: &str) -> Result<Outcome<u32>, Error> {
    Ok(1.into())
}

/// Executes, replays and waits. The wait is included because it may use a connection of its own.
async fn works(url: &str) {
    works_with(&connect(url).await.unwrap(), url).await;
}

async fn works_with(store: &AnyStore, id: &str) {
    assert_eq!(charge(store, id).await.unwrap(), Outcome::Executed(1));
    assert_eq!(charge(store, id).await.unwrap(), Outcome::Replayed(1));
    let key = Key::of(id).unwrap();
    let request = ClaimRequest::new("tls::wait", &key, Owner::random(), Duration::from_secs(60));
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    store.wait(WaitRequest::new("tls::wait", &key, Duration::from_millis(50))).await.unwrap();
}

/// The error of opening a store at this URL. Asserts that the error is one that a repetition would not change.
async fn refusal(url: &str) -> String {
    let error = connect(url).await.unwrap_err();
    let Error::Config { source: Some(source), .. } = &error else { panic!("{error:?}") };
    assert!(!source.is_unanswered(), "{error}");
    error.to_string()
}

/// Waits until this is true.
async fn until(mut happens: impl AsyncFnMut() -> bool) {
    let poll = async {
        while !happens().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), poll).await.expect("it happens");
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

async fn start_postgres(authority: &Authority) -> Postgres {
    let (certificate, key) = (authority.certificate(), authority.key());
    let files = [format!("ssl_cert_file={}", show(&certificate)), format!("ssl_key_file={}", show(&key))];
    Postgres::start_with(&["-c", "ssl=on", "-c", &files[0], "-c", &files[1]]).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn postgres_works_over_tls() {
    let authority = Authority::new();
    let server = start_postgres(&authority).await;
    let mut beside = PgConnection::connect(&format!("{}?sslmode=disable", server.url())).await.unwrap();
    let mut connections = async |tls: bool, query: &str| -> i64 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid <> pg_backend_pid() \
             AND backend_type = 'client backend' AND ssl = {tls} AND query LIKE '{query}'"
        );
        beside.fetch_one(sqlx::AssertSqlSafe(sql)).await.unwrap().get(0)
    };
    let root = show(&authority.root());
    for mode in
        ["require".to_owned(), format!("verify-ca&sslrootcert={root}"), format!("verify-full&sslrootcert={root}")]
    {
        let url = format!("{}?sslmode={mode}", server.url());
        let store = connect(&url).await.unwrap();
        works_with(&store, &url).await;
        until(async || connections(true, "LISTEN%").await > 0).await;
        assert_eq!(connections(false, "%").await, 0, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn postgres_with_a_wrong_certificate_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = start_postgres(&authority).await;
    let (url, root) = (server.url(), show(&authority.root()));
    for mode in ["verify-ca", "verify-full"] {
        let told = refusal(&format!("{url}?sslmode={mode}&sslrootcert={}", show(&stranger.root()))).await;
        assert!(told.contains("invalid peer certificate: UnknownIssuer"), "{told}");
    }
    let elsewhere = url.replace("127.0.0.1", "localhost");
    connect(&format!("{elsewhere}?sslmode=verify-ca&sslrootcert={root}")).await.unwrap();
    let told = refusal(&format!("{elsewhere}?sslmode=verify-full&sslrootcert={root}")).await;
    assert!(told.contains("not valid for name \"localhost\""), "{told}");

    let error = connect(&format!("{url}?sslmode=verify-full&sslrootcert=/nowhere")).await.unwrap_err();
    assert!(error.to_string().contains("names a file or a socket that isn't there"), "{error}");

    let plain = Postgres::start().await;
    let told = refusal(&format!("{}?sslmode=require", plain.url())).await;
    assert!(told.contains("server does not support TLS"), "{told}");
}

/// Starts a server that refuses connections without TLS.
async fn start_mariadb(authority: &Authority) -> MariaDb {
    let (certificate, key) = (authority.certificate(), authority.key());
    let files = [format!("--ssl-cert={}", show(&certificate)), format!("--ssl-key={}", show(&key))];
    MariaDb::start_with(&["--require-secure-transport=ON", &files[0], &files[1]]).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn mysql_works_over_tls() {
    let authority = Authority::new();
    let server = start_mariadb(&authority).await;
    let told = refusal(&format!("{}?ssl-mode=DISABLED", server.url())).await;
    assert!(["Access denied", "insecure transport"].iter().any(|refused| told.contains(refused)), "{told}");
    let root = show(&authority.root());
    for mode in ["REQUIRED".to_owned(), format!("VERIFY_CA&ssl-ca={root}"), format!("VERIFY_IDENTITY&ssl-ca={root}")] {
        works(&format!("{}?ssl-mode={mode}", server.url())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn mysql_with_a_wrong_certificate_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = start_mariadb(&authority).await;
    let (url, root) = (server.url(), show(&authority.root()));
    for mode in ["VERIFY_CA", "VERIFY_IDENTITY"] {
        let told = refusal(&format!("{url}?ssl-mode={mode}&ssl-ca={}", show(&stranger.root()))).await;
        assert!(told.contains("invalid peer certificate: UnknownIssuer"), "{told}");
    }
    let elsewhere = url.replace("127.0.0.1", "localhost");
    connect(&format!("{elsewhere}?ssl-mode=VERIFY_CA&ssl-ca={root}")).await.unwrap();
    let told = refusal(&format!("{elsewhere}?ssl-mode=VERIFY_IDENTITY&ssl-ca={root}")).await;
    assert!(told.contains("not valid for name \"localhost\""), "{told}");

    let plain = MariaDb::start().await;
    let told = refusal(&format!("{}?ssl-mode=REQUIRED", plain.url())).await;
    assert!(told.contains("server does not support TLS"), "{told}");
}

/// Starts a server that accepts only TLS. Returns it and its URL.
async fn start_redis(authority: &Authority) -> (Redis, String) {
    let port = free_port();
    let options = format!(
        "--tls-port {port} --tls-cert-file {} --tls-key-file {} --tls-ca-cert-file {} --tls-auth-clients no",
        show(&authority.certificate()),
        show(&authority.key()),
        show(&authority.root())
    );
    let server = Redis::start_with(&options.split(' ').collect::<Vec<_>>()).await;
    let client = Client::open(server.url()).unwrap();
    let mut plain = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("CONFIG").arg(&["SET", "port", "0"]).exec_async(&mut plain).await.unwrap();
    assert!(client.get_multiplexed_async_connection().await.is_err(), "the plain port is closed");
    (server, format!("rediss://127.0.0.1:{port}/"))
}

fn trusting(url: &str, authority: &Authority) -> Client {
    let root_cert = Some(std::fs::read(authority.root()).unwrap());
    Client::build_with_tls(url, TlsCertificates { client_tls: None, root_cert }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn redis_works_over_tls_with_a_client_that_knows_the_authority() {
    let authority = Authority::new();
    let (_server, url) = start_redis(&authority).await;
    let client = trusting(&url, &authority);
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
    let manager = ConnectionManager::new_with_config(client.clone(), config).await.unwrap();
    let store = AnyStore::new(RedisStore::options().listen(client).open_with(manager).await.unwrap());
    works_with(&store, &url).await;
    let mut listens = redis::cmd("PUBSUB");
    listens.arg("CHANNELS");
    until(async || !listens.query_async::<Vec<String>>(&mut raw).await.unwrap().is_empty()).await;
}

const URL: &str = "IDEM_TLS_URL";

/// Opens a store at this URL in a process of its own that trusts only this authority as the system's. Returns the error's text.
fn opens(url: &str, authority: &Authority) -> Result<(), String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "redis_works_over_tls_where_the_system_knows_the_authority", "--ignored", "--nocapture"]);
    let output = command.env(URL, url).env("SSL_CERT_FILE", authority.root()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(told) }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn redis_works_over_tls_where_the_system_knows_the_authority() {
    if let Ok(url) = std::env::var(URL) {
        let started = Instant::now();
        let Ok(store) = connect(&url).await else {
            let told = refusal(&url).await;
            panic!("refused within {} s: {told}", started.elapsed().as_secs());
        };
        return works_with(&store, &url).await;
    }
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (_server, url) = start_redis(&authority).await;
    opens(&url, &authority).unwrap();
    opens(&url.replace("rediss:", "valkeys:"), &authority).unwrap();
    for (url, trusted, expected) in [
        (&url, &stranger, "invalid peer certificate: UnknownIssuer"),
        (&url.replace("127.0.0.1", "localhost"), &authority, "not valid for name \"localhost\""),
        (&format!("{url}#insecure"), &authority, "Cannot create insecure client"),
    ] {
        let told = opens(url, trusted).unwrap_err();
        assert!(told.contains(expected), "{told}");
        assert!(told.contains("refused within 0 s"), "it would be refused again: {told}");
    }
}
