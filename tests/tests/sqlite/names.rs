//! Tables with other names than the default one, and what is refused under a name.

use std::path::Path;
use std::time::{Duration, Instant};

use idem_runtime::admin::{self, Filter};
use idem_runtime::store::{ClaimAnswer, WaitRequest};
use idem_runtime::{Error, IdempotencyStore, SqliteStore};
use idem_tests::steps::{acquire, execute, key, record, request};
use rusqlite::Connection;

use super::{directory, file};

async fn open(path: &Path, table: &str) -> SqliteStore {
    SqliteStore::options().table(table).open(path).await.unwrap()
}

async fn refused(path: &Path, table: &str) -> String {
    match SqliteStore::options().table(table).open(path).await {
        Err(error @ Error::Config { .. }) => error.to_string(),
        other => panic!("the table `{table}` is refused, and it was {other:?}"),
    }
}

async fn is_completed(store: &SqliteStore, name: &str) -> bool {
    let key = key(name);
    matches!(store.claim(request("s", &key)).await.unwrap(), ClaimAnswer::Completed(_))
}

#[tokio::test]
async fn two_names_in_one_file_share_nothing() {
    let directory = directory();
    let path = file(&directory);
    let (one, other) = (open(&path, "order").await, open(&path, "order_keys").await);
    for store in [&one, &other] {
        execute(store, "s", &key("k"), &record("r")).await;
    }
    // A waiter on one table isn't told of an ending in the other.
    let held = key("held");
    acquire(&other, request("s", &held)).await;
    let begun = Instant::now();
    let at_most = Duration::from_millis(50);
    let waiting = WaitRequest::new("s", &held, at_most);
    let done = record("r");
    tokio::join!(execute(&one, "s", &held, &done), async { other.wait(waiting).await.unwrap() });
    assert!(begun.elapsed() >= at_most);

    let expire = |table: &str| {
        let sql = format!("UPDATE \"{table}\" SET until = 1, purge_at = 2 WHERE key = CAST('k' AS BLOB)");
        Connection::open(&path).unwrap().execute(&sql, []).unwrap();
    };
    ["order", "order_keys"].into_iter().for_each(expire);
    assert_eq!(one.admin().unwrap().sweep(10).await.unwrap(), 1);
    assert_eq!(other.admin().unwrap().stats().await.unwrap().sweepable, 1);
    assert_eq!(other.admin().unwrap().sweep(10).await.unwrap(), 1);
}

/// Names that the statements use for something else, and names that SQL keeps for itself.
#[tokio::test]
async fn a_table_may_have_the_name_of_anything_in_its_statements() {
    let directory = directory();
    let path = file(&directory);
    for name in ["excluded", "fence", "key", "record", "scope", "select", "state", "values"] {
        let store = open(&path, name).await;
        execute(&store, "s", &key("k"), &record("r")).await;
        assert!(is_completed(&store, "k").await, "{name}");
        let admin = store.admin().unwrap();
        assert_eq!(admin.list(Filter::all()).await.unwrap().len(), 1, "{name}");
        assert_eq!(admin.sweep(10).await.unwrap(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_url_names_the_table() {
    let directory = directory();
    let path = file(&directory);
    let url = |parameters: &str| format!("sqlite:{}?{parameters}", path.display());
    let store = idem_runtime::connect(&url("table=order&mode=rwc")).await.unwrap();
    execute(&store, "s", &key("k"), &record("r")).await;
    assert!(is_completed(&open(&path, "order").await, "k").await);
    let operator = admin::connect(&url("mode=ro&table=order")).await.unwrap();
    assert_eq!(operator.stats().await.unwrap().completed, 1);
    assert!(admin::connect(&url("mode=rw")).await.err().unwrap().to_string().contains("no tables of a store"));
    for wrong in ["table=Order", "table=", "table=a&table=a"] {
        let error = idem_runtime::connect(&url(wrong)).await.unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error}");
    }
    assert!(refused(&path, "or\"der").await.contains("lowercase letters"));
}

#[tokio::test]
async fn a_table_of_someone_else_is_refused_before_anything_is_changed() {
    let directory = directory();
    let path = file(&directory);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE theirs (purge_at INTEGER, user_id); CREATE TABLE others_schema (text_of_it TEXT);
            CREATE TABLE Names (purge_at INTEGER); CREATE TABLE Cases_Schema (text_of_it TEXT)",
        )
        .unwrap();
    let schema = include_str!("../../../idem-runtime/src/store/sqlite/schema.sql").replace("idem_keys", "ours");
    connection.execute_batch(&schema).unwrap();
    connection.execute_batch("DROP TABLE ours_schema").unwrap();
    let before = std::fs::read(&path).unwrap();
    for table in ["theirs", "others", "names", "cases", "ours"] {
        let told = refused(&path, table).await;
        for way in [&format!("`{table}`"), "options().table(", "or rename theirs"] {
            assert!(told.contains(way), "{way}: {told}");
        }
    }
    assert_eq!(std::fs::read(&path).unwrap(), before, "the file is as it was");
}

#[tokio::test]
async fn tables_of_an_earlier_version_are_renamed_or_used_under_their_name() {
    let directory = directory();
    let path = file(&directory);
    let former = open(&path, "idempotency").await;
    execute(&former, "s", &key("k"), &record("r")).await;
    drop(former);
    let operator = admin::connect(&format!("sqlite:{}", path.display())).await.err().unwrap().to_string();
    for told in [refused(&path, "idem_keys").await, refused(&path, "order").await, operator] {
        assert!(told.contains("`idempotency`") && told.contains("options().table(\"idempotency\")"), "{told}");
    }
    assert!(is_completed(&open(&path, "idempotency").await, "k").await);

    let told = refused(&path, "order").await;
    let (_, rename) = told.split_once("rename it: ").unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(rename).unwrap();
    assert!(is_completed(&open(&path, "order").await, "k").await);
    let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(names, ["order", "order_purge_at", "order_schema", "order_stuck"]);
    // Nothing of the former table is left, so that a new one can have its name.
    assert!(!is_completed(&open(&path, "idempotency").await, "k").await);
}
