//! The table of rows of tx mode, `pending.txt`: what the model's pending row does is what stands there. A test of the library
//! holds SQLite's statements against the same table. `WRITE_TABLE=1` writes it anew.

use std::fmt::Write;
use std::path::Path;

use idem_model::pending::Claim;
use idem_runtime::protocol::{Ended, Row, State};
use idem_runtime::store::{Fingerprint, Owner, Previous};

const NOW: u64 = 1000;

fn owner(letter: u8) -> Owner {
    Owner([letter; 16])
}

fn claim(fingerprint: Option<u8>) -> Claim {
    let fingerprint = fingerprint.map(|letter| Fingerprint([letter; 16]));
    Claim { owner: owner(b'z'), fingerprint, stays: 320, now: NOW }
}

/// A row, as its columns stand in the table; a dash is null.
fn shown(row: Option<&Row>) -> String {
    let Some(row) = row else { return "absent".to_owned() };
    let letter = |bytes: [u8; 16]| char::from(bytes[0]).to_string();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let number = |number: Option<u64>| or_dash(number.map(|number| number.to_string()));
    let (previous, previous_fence) = match row.previous {
        Previous::First => (1, None),
        Previous::AfterFailure => (2, None),
        Previous::AfterCrash { fence } => (3, Some(fence)),
    };
    let ended: String = row.ended.iter().map(|owner| letter(owner.0)).collect();
    [
        (row.state as u8).to_string(),
        letter(row.owner.0),
        row.fence.to_string(),
        row.until.to_string(),
        number(row.doubt),
        previous.to_string(),
        number(previous_fence),
        row.attempt.to_string(),
        or_dash(row.fingerprint.map(|fingerprint| letter(fingerprint.0))),
        or_dash(Some(ended).filter(|ended| !ended.is_empty())),
        number(row.purge_at),
    ]
    .join(" ")
}

/// Rows of every state, of each kind that a statement tells apart.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for state in [State::Running, State::Unknown, State::Kept, State::Free, State::Done] {
        for until in [NOW - 1, NOW, NOW + 1] {
            for purge_at in [None, Some(NOW + 50), Some(NOW + 5000)] {
                for (fence, doubt, previous, ended) in [
                    (900, None, Previous::First, ""),
                    (NOW + 7, Some(800), Previous::AfterFailure, "b"),
                    (900, Some(800), Previous::AfterCrash { fence: 800 }, "bcde"),
                ] {
                    let ended = Ended::from_owners(ended.bytes().map(owner));
                    let fingerprint = (fence > 900).then_some(Fingerprint([b'f'; 16]));
                    let owner = owner(if state == State::Free { b'z' } else { b'a' });
                    let attempt = 3;
                    rows.push(Row {
                        state,
                        owner,
                        fence,
                        until,
                        doubt,
                        previous,
                        attempt,
                        fingerprint,
                        ended,
                        purge_at,
                    });
                }
            }
        }
    }
    rows
}

fn table() -> String {
    let mut table = "# fingerprint, stays | now | row | row behind the claim of z\n".to_owned();
    for fingerprint in [None, Some(b'f'), Some(b'g')] {
        let claim = claim(fingerprint);
        for row in std::iter::once(None).chain(rows().into_iter().map(Some)) {
            let after = claim.take(row.as_ref()).or(row);
            let letter = fingerprint.map_or('-', char::from);
            let _ = writeln!(table, "claim {letter} 320 | {NOW} | {} | {}", shown(row.as_ref()), shown(after.as_ref()));
        }
    }
    let pending: Vec<_> = rows().into_iter().filter(|row| row.until == NOW).collect();
    table.push_str("# fence, ttl, stays at least, at most | now | row | row behind the completion of z\n");
    for &row in &pending {
        for fence in [row.fence, 5] {
            let after = claim(None).complete(row, fence, 90, (100, 200), NOW);
            let (before, after) = (shown(Some(&row)), shown(Some(&after)));
            let _ = writeln!(table, "complete {fence} 90 100 200 | {NOW} | {before} | {after}");
        }
    }
    table.push_str("# fence | now | row | row behind the withdrawal of z\n");
    for &row in &pending {
        for fence in [row.fence, 5] {
            let after = claim(None).withdraw(row, fence);
            let _ = writeln!(table, "withdraw {fence} | {NOW} | {} | {}", shown(Some(&row)), shown(after.as_ref()));
        }
    }
    table.push_str("# fence | now | row | row behind the takeover of z that did nothing\n");
    for &row in &pending {
        for fence in [row.fence, 5] {
            let after = claim(None).restore(row, fence);
            let _ = writeln!(table, "restore {fence} | {NOW} | {} | {}", shown(Some(&row)), shown(Some(&after)));
        }
    }
    table
}

#[test]
fn the_pending_row_is_as_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pending.txt");
    let table = table();
    if std::env::var_os("WRITE_TABLE").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    for (line, (written, told)) in written.lines().zip(table.lines()).enumerate() {
        assert_eq!(written, told, "line {}", line + 1);
    }
    assert_eq!(written.lines().count(), table.lines().count());
}
