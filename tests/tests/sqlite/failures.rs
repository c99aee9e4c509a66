//! A busy file, a bad row, a statement that fails: one request fails, and the others go on.

use std::time::Duration;

use idem_runtime::store::{ClaimAnswer, Leave, ReleaseRequest};
use idem_runtime::{IdempotencyStore, SqliteStore};
use idem_tests::steps::{acquire, execute, key, record, request};
use rusqlite::Connection;

use super::{directory, file, open};

#[tokio::test]
async fn a_busy_file_gives_no_answer_and_harms_nothing() {
    let directory = directory();
    let options = SqliteStore::options().busy_timeout(Duration::from_millis(50));
    let store = options.open(file(&directory)).await.unwrap();
    let other = Connection::open(file(&directory)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let key = key("k");
    let claim = request("s", &key);
    let error = store.claim(claim).await.unwrap_err();
    assert!(error.is_unanswered(), "{error}");
    assert!(std::error::Error::source(&error).is_some_and(|source| source.to_string().contains("locked")), "{error}");
    assert!(
        error.to_string().contains("than the store's `busy_timeout`; if it is one in which this handler was called"),
        "{error}"
    );
    other.execute_batch("ROLLBACK").unwrap();
    acquire(&store, claim).await;
}

#[tokio::test]
async fn one_bad_row_fails_alone_and_is_never_run_again() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    let columns = [
        ("state", "9"),
        ("state", "-1"),
        ("owner", "x'00'"),
        ("fence", "-5"),
        ("until", "-1"),
        ("previous", "7"),
        ("previous", "3"),
        ("attempt", "99999999999"),
        ("fingerprint", "x'0102'"),
        ("ended", "x'0102'"),
        ("ended", "zeroblob(80)"),
    ];
    let connection = Connection::open(file(&directory)).unwrap();
    for (nth, (column, value)) in columns.into_iter().enumerate() {
        let bad = key(format!("bad-{nth}"));
        execute(&store, "s", &bad, &record("r")).await;
        let sql = format!("UPDATE idem_keys SET {column} = {value} WHERE key = ?");
        connection.execute(&sql, [bad.as_bytes()]).unwrap();
        let good = key(format!("good-{nth}"));
        let (bad_claim, good_claim) = (request("s", &bad), request("s", &good));
        let (refused, granted) = tokio::join!(store.claim(bad_claim), store.claim(good_claim));
        let error = refused.unwrap_err();
        assert!(!error.is_unanswered());
        let message = error.to_string();
        assert!(message.contains("bad-") && message.contains("scope `s`") && message.contains(column), "{message}");
        assert!(matches!(granted.unwrap(), ClaimAnswer::Acquired(_)));
        let release = ReleaseRequest::new(&bad_claim, 1, Leave::NotRun);
        assert!(!store.release(release).await.unwrap_err().is_unanswered());
        assert!(store.admin().unwrap().get("s", &bad).await.is_err());
    }
}

#[tokio::test]
async fn a_statement_that_fails_takes_no_other_down() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    let other = Connection::open(file(&directory)).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON idem_keys WHEN NEW.key = CAST('cursed' AS BLOB)
             BEGIN SELECT RAISE(ROLLBACK, 'cursed'); END; BEGIN IMMEDIATE",
        )
        .unwrap();
    let keys: Vec<_> = (0..20).map(|nth| key(&if nth == 7 { "cursed".to_owned() } else { nth.to_string() })).collect();
    let claims: Vec<_> = keys
        .iter()
        .map(|key| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move { store.claim(request("s", &key)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    other.execute_batch("ROLLBACK").unwrap();
    for (nth, claim) in claims.into_iter().enumerate() {
        let answer = claim.await.unwrap();
        if nth == 7 {
            assert!(!answer.unwrap_err().is_unanswered());
        } else {
            assert!(matches!(answer.unwrap(), ClaimAnswer::Acquired(_)));
        }
    }
}
