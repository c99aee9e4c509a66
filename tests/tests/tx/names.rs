//! The table of tx mode has another name. A process sets it once, so each case is a process of its own.

use std::process::Command;

use idem_runtime::{Error, Outcome, connect, tx};

use super::rules::booked;
use super::{Bench, DATABASE};

/// The variable in which a process finds its case.
const CASE: &str = "IDEM_TEST_TABLE";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn the_table_can_have_another_name() {
    match std::env::var(CASE).as_deref() {
        Err(_) => ["order", "excluded", "idem_keys"].into_iter().for_each(alone),
        Ok("idem_keys") => the_default_name_is_used_from_the_first_call_on().await,
        Ok(name) => the_name_is_used(name).await,
    }
}

/// Runs this test in a process of its own.
fn alone(case: &str) {
    let (_, module) = module_path!().split_once("::").unwrap();
    let test = format!("{module}::the_table_can_have_another_name");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &test, "--include-ignored", "--nocapture"]).env(CASE, case);
    assert!(command.status().unwrap().success(), "{case}");
}

async fn the_name_is_used(name: &str) {
    let bench = Bench::new().await;
    for drop in ["DROP VIEW idem_keys_stuck", "DROP TABLE idem_keys", "DROP TABLE idem_keys_schema"] {
        bench.execute(drop.to_owned()).await;
    }
    assert!(matches!(tx::use_table("Order"), Err(Error::Config { .. })));
    assert!(matches!(tx::schema_named(DATABASE, "Order"), Err(Error::Config { .. })));
    tx::use_table(name).unwrap();
    let missing = booked(&bench, "a", 1).await.unwrap_err().refusal();
    assert!(matches!(missing, Error::Config { .. }), "{missing:?}");
    assert!(missing.to_string().contains(&format!("schema_named(Database::{DATABASE:?}, \"{name}\")")), "{missing}");

    for _ in 0..2 {
        bench.execute(tx::schema_named(DATABASE, name).unwrap()).await;
    }
    assert_eq!(booked(&bench, "a", 1).await.unwrap(), Outcome::Executed(1));
    assert_eq!(booked(&bench, "a", 1).await.unwrap(), Outcome::Replayed(1));
    let parameter = if bench.url.contains('?') { "&table=" } else { "?table=" };
    let admin = connect(&format!("{}{parameter}{name}", bench.url)).await.unwrap().admin().unwrap();
    assert_eq!(admin.stats().await.unwrap().completed, 1);

    tx::use_table(name).unwrap();
    let other = tx::use_table("other").unwrap_err();
    assert!(matches!(other, Error::Config { .. }) && other.to_string().contains(&format!("`{name}`")), "{other}");
}

async fn the_default_name_is_used_from_the_first_call_on() {
    let bench = Bench::new().await;
    assert_eq!(booked(&bench, "a", 1).await.unwrap(), Outcome::Executed(1));
    let late = tx::use_table("order").unwrap_err();
    assert!(matches!(late, Error::Config { .. }) && late.to_string().contains("before the first call"), "{late}");
    tx::use_table("idem_keys").unwrap();
}
