//! R19 for keys: after `log_keys(false)`, no event and no error shows a key, even if the database quotes one in its message.
//!
//! The setting is the process's, so these tests run one at a time.

use std::error::Error as StdError;
use std::future::Future;

use idem_runtime::admin::{Entry, Filter};
use idem_runtime::store::{Key, RedisOptions};
use idem_runtime::tx::{Database, schema};
use idem_runtime::{
    AnyStore, Error, IdempotencyAdmin as _, IdempotencyStore, MemoryStore, MySqlStore, PostgresStore, ScopedKey,
    SqliteStore, StoreError, idempotent, log_keys,
};
use idem_tests::log::{Event, Events};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::server::{MariaDb, Postgres, Redis};
use sqlx::{Connection as _, Executor as _};
use tokio::sync::Mutex;

static ALONE: Mutex<()> = Mutex::const_new(());

const KEY: &str = "alice@example.com";

/// The message, with a key in it, with which the databases below refuse a row.
const SAYS: &str = "not alice@example.com";

#[idempotent(key = "id", scope = "hidden", store = store)]
async fn charge(store: &AnyStore, id: &str) -> Result<u32, Error> {
    Ok(7)
}

#[idempotent(key = "id", scope = "hidden/lax", store = store, on_store_error = "run")]
async fn charge_anyhow(store: &AnyStore, id: &str) -> Result<u32, Error> {
    Ok(7)
}

/// The events of this thread during the call, and the error as text: the `Display` and `Debug` forms of it and of its sources.
async fn said(call: impl Future<Output = Error>) -> (Vec<Event>, String) {
    let events = Events::default();
    let subscribed = tracing::subscriber::set_default(events.clone());
    let error = call.await;
    drop(subscribed);
    let mut text = String::new();
    let mut cause: Option<&dyn StdError> = Some(&error);
    while let Some(error) = cause {
        text += &format!("{error}\n{error:?}\n");
        cause = error.source();
    }
    (events.take(), text)
}

/// Asserts that the key and the database's message are shown with `log_keys(true)` and hidden with `log_keys(false)`, and that the
/// error's code is shown in both cases.
async fn assert_hidden<F: Future<Output = Error>>(says: &str, code: &str, call: impl Fn() -> F) {
    let _alone = ALONE.lock().await;
    log_keys(true);
    let (events, error) = said(call()).await;
    assert!(events.iter().all(|event| event["key"] == KEY), "{events:#?}");
    assert!(error.contains(says), "the database quotes the key: {error}");

    log_keys(false);
    let (events, error) = said(call()).await;
    let digits = events[0]["key"].clone();
    assert!(digits.len() == 8 && digits.chars().all(|digit| digit.is_ascii_hexdigit()), "{digits}");
    assert!(events.iter().all(|event| event["key"] == digits), "{events:#?}");
    assert!(error.contains(&digits), "the error names the key as the events do: {error}");
    let all = format!("{events:?} {error}");
    let bytes = |form: fn(u8) -> String| KEY.bytes().map(form).collect::<String>();
    for form in [KEY.to_owned(), bytes(|byte| format!("{byte:02x}")), bytes(|byte| format!("{byte:02X}"))] {
        assert!(!all.contains(&form), "{form} in {all}");
    }
    assert!(error.contains(&format!("error {code}, whose text can quote keys")), "{error}");
}

/// The outcome in the event that tells of the end of a call.
async fn ended<T>(call: impl Future<Output = T>) -> String {
    let events = Events::default();
    let subscribed = tracing::subscriber::set_default(events.clone());
    drop(call.await);
    drop(subscribed);
    let is_end = |event: &&Event| event.get("event").is_some_and(|event| event == "ended");
    let outcomes: Vec<_> = events.take().iter().filter(is_end).map(|event| event["outcome"].clone()).collect();
    let [outcome] = &outcomes[..] else { panic!("not one end: {outcomes:?}") };
    outcome.clone()
}

/// The same for a store that refuses each claim: the error of a call, and the event of a handler that runs without protection.
async fn assert_hidden_by(store: impl IdempotencyStore, says: &str, code: &str) {
    let store = AnyStore::new(store);
    assert_hidden(says, code, || async {
        assert_eq!(ended(charge_anyhow(&store, KEY)).await, "executed");
        assert_eq!(ended(charge(&store, KEY)).await, "store");
        charge_anyhow(&store, KEY).await.unwrap();
        charge(&store, KEY).await.unwrap_err()
    })
    .await;
}

const REFUSE_ON_POSTGRES: &str = "\
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        RAISE 'not %', convert_from(NEW.key, 'UTF8') USING DETAIL = NEW.key; END $$; \
    CREATE TRIGGER refuse BEFORE INSERT ON idem_keys FOR EACH ROW EXECUTE FUNCTION refuse()";

const REFUSE_ON_MARIADB: &str = "\
    CREATE TRIGGER refuse BEFORE INSERT ON idem_keys FOR EACH ROW \
    BEGIN SET @says = CONCAT('not ', NEW.`key`); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = @says; END";

const REFUSE_ON_SQLITE: &str = "\
    CREATE TRIGGER refuse BEFORE INSERT ON idem_keys \
    BEGIN SELECT RAISE(ABORT, 'not ' || CAST(NEW.key AS TEXT)); END";

#[tokio::test]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r19_postgres_errors_show_no_key() {
    let server = Postgres::start().await;
    let store = PostgresStore::open(&server.url()).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&server.url()).await.unwrap();
    connection.execute(sqlx::raw_sql(REFUSE_ON_POSTGRES)).await.unwrap();
    assert_hidden_by(store, SAYS, "P0001").await;
}

#[tokio::test]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r19_mariadb_errors_show_no_key() {
    let server = MariaDb::start().await;
    let store = MySqlStore::open(&server.url()).await.unwrap();
    let mut connection = sqlx::MySqlConnection::connect(&server.url()).await.unwrap();
    connection.execute(sqlx::raw_sql(REFUSE_ON_MARIADB)).await.unwrap();
    assert_hidden_by(store, SAYS, "1644").await;
}

#[tokio::test]
async fn r19_sqlite_errors_show_no_key() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("keys.db");
    let store = SqliteStore::open(&file).await.unwrap();
    rusqlite::Connection::open(&file).unwrap().execute_batch(REFUSE_ON_SQLITE).unwrap();
    assert_hidden_by(store, SAYS, "1811").await;
}

/// The server refuses scripts. Its message quotes the first 128 bytes of the command, and the last of these are the key's.
#[tokio::test]
#[ignore = "starts Redis: run by tests/run"]
async fn r19_redis_errors_show_no_key() {
    let server = Redis::start_with(&["--rename-command", "EVALSHA", "none"]).await;
    let store = RedisOptions::default().prefix("p".repeat(52)).open(&server.url()).await.unwrap();
    assert_hidden_by(store, "p6:hidden:alice@example.com", "ERR").await;
}

#[tokio::test]
async fn r19_a_stores_own_words_show_no_key() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("keys.db");
    let store = AnyStore::new(SqliteStore::open(&file).await.unwrap());
    let _alone = ALONE.lock().await;
    charge(&store, KEY).await.unwrap();
    rusqlite::Connection::open(&file).unwrap().execute_batch("UPDATE idem_keys SET state = 9").unwrap();
    for shown in [true, false] {
        log_keys(shown);
        let (_, error) = said(async { charge(&store, KEY).await.unwrap_err() }).await;
        assert_eq!(error.contains(KEY), shown, "{error}");
        assert!(error.contains("is corrupted in its column `state`"), "{error}");
    }
}

/// A user's own store passes on an error of its driver. The library knows no code of it and hides its text, but the user can still
/// reach the error.
#[tokio::test]
async fn r19_errors_of_a_store_of_ones_own_show_no_key() {
    let _alone = ALONE.lock().await;
    log_keys(false);
    let store = Probe::new();
    store.fail(Asked::Claim, Fault::Refused);
    let error = charge(&AnyStore::new(store), KEY).await.unwrap_err();
    let Error::Store { source, .. } = &error else { panic!("{error}") };
    assert_eq!(
        source.to_string(),
        "the probe refused the request: an error whose text can quote keys, which `log_keys` hides"
    );
    assert!(source.source().is_none(), "a logger that prints an error prints its sources too");
    assert_eq!(source.get_ref().to_string(), "Claim: no");
    log_keys(true);
    assert_eq!(source.source().map(ToString::to_string).as_deref(), Some("Claim: no"));
}

#[tokio::test]
async fn digits_tell_one_key_from_another_in_errors_and_events() {
    let _alone = ALONE.lock().await;
    log_keys(false);
    let text = |key: &str| ScopedKey::new("s", &Key::of(key).unwrap()).to_string();
    assert_eq!(text("a"), text("a"));
    assert_ne!(text("a"), text("b"));
    let error = StoreError::refused("a database", "no");
    assert!(!format!("{error:?}").contains("\"no\""), "{error:?}");
}

/// As the book shows it, in the process that emitted the event: only there are the digits the same.
#[tokio::test]
async fn an_entry_is_found_by_the_digits_of_its_event() -> Result<(), Box<dyn StdError>> {
    let _alone = ALONE.lock().await;
    log_keys(false);
    let admin = MemoryStore::new();
    let store = AnyStore::new(admin.clone());
    for id in ["bob@example.com", KEY] {
        charge(&store, id).await?;
    }
    let events = Events::default();
    let subscribed = tracing::subscriber::set_default(events.clone());
    charge(&store, KEY).await?;
    drop(subscribed);
    let digits = &events.take()[0]["key"];

    let mut found = Vec::new();
    let mut see = |entry: Entry| {
        if ScopedKey::new(&entry.scope, &entry.key).to_string().contains(digits) {
            found.push(entry);
        }
    };
    admin.visit(&Filter::all().scope("hidden"), &mut see).await?;
    let keys: Vec<_> = found.iter().map(|entry| entry.key.to_string()).collect();
    assert_eq!(keys, [KEY]);
    Ok(())
}

mod in_transactions {
    use super::*;

    #[idempotent(key = "id", scope = "hidden/postgres", tx = "tx")]
    async fn on_postgres(tx: &mut sqlx::PgTransaction<'_>, id: &str) -> Result<u32, Error> {
        let _ = tx;
        Ok(7)
    }

    #[idempotent(key = "id", scope = "hidden/mariadb", tx = "tx")]
    async fn on_mariadb(tx: &mut sqlx::MySqlTransaction<'_>, id: &str) -> Result<u32, Error> {
        let _ = tx;
        Ok(7)
    }

    #[idempotent(key = "id", scope = "hidden/sqlite", tx = "tx")]
    fn on_sqlite(tx: &rusqlite::Connection, id: &str) -> Result<u32, Error> {
        let _ = tx;
        Ok(7)
    }

    #[tokio::test]
    #[ignore = "starts PostgreSQL: run by tests/run"]
    async fn r19_postgres_errors_show_no_key() {
        let server = Postgres::start().await;
        let pool = sqlx::PgPool::connect(&server.url()).await.unwrap();
        pool.execute(sqlx::raw_sql(schema(Database::Postgres))).await.unwrap();
        pool.execute(sqlx::raw_sql(REFUSE_ON_POSTGRES)).await.unwrap();
        assert_hidden(SAYS, "P0001", || async {
            on_postgres(&mut pool.begin().await.unwrap(), KEY).await.unwrap_err()
        })
        .await;
    }

    #[tokio::test]
    #[ignore = "starts MariaDB: run by tests/run"]
    async fn r19_mariadb_errors_show_no_key() {
        let server = MariaDb::start().await;
        let pool = sqlx::MySqlPool::connect(&server.url()).await.unwrap();
        pool.execute(sqlx::raw_sql(schema(Database::MySql))).await.unwrap();
        pool.execute(sqlx::raw_sql(REFUSE_ON_MARIADB)).await.unwrap();
        assert_hidden(SAYS, "1644", || async { on_mariadb(&mut pool.begin().await.unwrap(), KEY).await.unwrap_err() })
            .await;
    }

    #[tokio::test]
    async fn r19_sqlite_errors_show_no_key() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(schema(Database::Sqlite)).unwrap();
        connection.execute_batch(REFUSE_ON_SQLITE).unwrap();
        assert_hidden(SAYS, "1811", || async {
            connection.execute_batch("BEGIN").unwrap();
            let error = on_sqlite(&connection, KEY).unwrap_err();
            connection.execute_batch("ROLLBACK").unwrap();
            error
        })
        .await;
    }
}
