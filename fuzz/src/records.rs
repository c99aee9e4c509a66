//! Any bytes as a record: it is read or refused, and described.

use idem_runtime::private::fuzzing::{read_record, record_of};
use idem_runtime::store::Record;

use crate::types::{Any, Tree};

pub fn run(input: &[u8]) {
    look(input);
    // Each kind that the format has, and one that it hasn't.
    for kind in 0..4 {
        look(&[&[1, kind], input].concat());
    }
}

fn look(bytes: &[u8]) {
    let record = Record::from_bytes(bytes);
    let described = record.describe();
    let read = read_record::<Any, Tree>(&record);
    let begins = match (&read, bytes) {
        (Ok(None), _) => "no result: ",
        (_, [1, 0, ..]) => "result: ",
        (_, [1, 1, ..]) => "error: ",
        _ => "no record (",
    };
    assert!(described.starts_with(begins), "{described}");
    assert!(!described.chars().any(char::is_control), "{described:?}");
    let Ok(Some(Ok(value))) = read else { return };
    let Some(again) = record_of(&value) else { return };
    assert!(matches!(read_record::<Any, Tree>(&again), Ok(Some(Ok(_)))), "{value:?}");
}
