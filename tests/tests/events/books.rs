//! The book's page on watching calls: what it shows and says is true.

use std::path::Path;

#[expect(dead_code, reason = "it is shown, and not run")]
fn at_the_start() {
    idem_runtime::log_keys(false);
}

#[expect(dead_code, reason = "it is shown, and not run")]
fn answer(error: &idem_runtime::Error) {
    let body = error.public().to_string();
    println!("{body}");
}

#[test]
fn the_page_names_each_event_and_each_outcome() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/src/watching.md");
    let page = std::fs::read_to_string(page).unwrap();
    let events = "executed redelivered taken_over unprotected replayed in_progress parked key_reused store_failed refused \
                  failed lease_lost ended";
    let outcomes = "executed replayed failed panicked dropped missing_key key_too_long fingerprint_unavailable in_progress \
                    key_reused outcome_unknown no_store scope_taken store lease_lost not_recorded result_unavailable \
                    decode would_block not_in_transaction conflict transaction_lost config";
    for name in events.split(' ').chain(outcomes.split(' ')).filter(|name| !name.is_empty()) {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}
