//! The table of rows of the pending row, which the protocol's model is held against too: SQLite's statements make of each row
//! what stands there.

use std::path::Path;

use rusqlite::{Connection, ToSql, params_from_iter};

use super::sqlite::TEXTS;

/// The row's columns, as the table has them.
const COLUMNS: &str = "state, substr(CAST(owner AS TEXT), 1, 1), fence, until, doubt, previous, previous_fence, attempt, \
     substr(CAST(fingerprint AS TEXT), 1, 1), ended, purge_at";

/// A column of the table: a dash is null, a number is a number, and each letter sixteen bytes.
fn column(text: &str) -> Box<dyn ToSql> {
    match text.parse::<i64>() {
        Ok(number) => Box::new(number),
        Err(_) if text == "-" => Box::new(None::<i64>),
        Err(_) => Box::new(text.bytes().flat_map(|letter| [letter; 16]).collect::<Vec<u8>>()),
    }
}

/// The letters of a `-` where nothing may be null.
fn bytes(text: &str) -> Vec<u8> {
    text.bytes().filter(|letter| *letter != b'-').flat_map(|letter| [letter; 16]).collect()
}

fn write(connection: &Connection, row: &str) {
    connection.execute("DELETE FROM idem_keys", []).unwrap();
    if row == "absent" {
        return;
    }
    let mut columns: Vec<_> = row.split(' ').map(column).collect();
    columns[9] = Box::new(bytes(row.split(' ').nth(9).unwrap()));
    connection
        .execute(
            "INSERT INTO idem_keys (scope, key, state, owner, fence, until, doubt, previous, previous_fence, attempt, \
             fingerprint, ended, purge_at) VALUES ('s', x'01', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params_from_iter(columns),
        )
        .unwrap();
}

/// The row, as the table has it.
fn read(connection: &Connection) -> String {
    let columns = connection.query_row(&format!("SELECT {COLUMNS} FROM idem_keys"), [], |row| {
        (0..11).map(|nth| row.get::<_, rusqlite::types::Value>(nth)).collect::<Result<Vec<_>, _>>()
    });
    let Ok(columns) = columns else { return "absent".to_owned() };
    let shown = columns.into_iter().map(|value| match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        rusqlite::types::Value::Blob(ended) if !ended.is_empty() => {
            ended.chunks(16).map(|owner| char::from(owner[0])).collect()
        }
        _ => "-".to_owned(),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Carries out what a line says, by the owner `z`.
fn carry_out(connection: &Connection, words: &[&str], now: &str) {
    let place = || [Box::new("s") as Box<dyn ToSql>, Box::new(vec![1_u8])];
    let owner = || Box::new(bytes("z")) as Box<dyn ToSql>;
    let numbers = |from: usize| words[from..].iter().map(|word| column(word));
    let (sql, params): (&str, Vec<_>) = match words[0] {
        "claim" => {
            let fingerprint: Box<dyn ToSql> = Box::new(bytes(words[1]));
            (
                TEXTS.claim,
                place().into_iter().chain([owner(), fingerprint]).chain(numbers(2)).chain([column(now)]).collect(),
            )
        }
        "complete" => {
            let record: Box<dyn ToSql> = Box::new(vec![7_u8]);
            let behind = place().into_iter().chain([owner(), column(words[1]), column(now)]);
            (TEXTS.complete, [record].into_iter().chain(numbers(2)).chain(behind).collect())
        }
        "restore" => (TEXTS.restore, place().into_iter().chain([owner(), column(words[1])]).collect()),
        _ => (TEXTS.withdraw, place().into_iter().chain([owner(), column(words[1])]).collect()),
    };
    let mut statement = connection.prepare_cached(sql).unwrap();
    let mut rows = statement.query(params_from_iter(params)).unwrap();
    while rows.next().unwrap().is_some() {}
}

#[test]
fn the_statements_make_of_each_row_what_the_models_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/model/pending.txt");
    let table = std::fs::read_to_string(path).unwrap();
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(include_str!("../../store/sqlite/schema.sql")).unwrap();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let [words, now, before, after] = line.split(" | ").collect::<Vec<_>>()[..] else { panic!("{line}") };
        write(&connection, before);
        carry_out(&connection, &words.split(' ').collect::<Vec<_>>(), now);
        assert_eq!(read(&connection), after, "{line}");
    }
}
