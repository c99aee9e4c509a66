//! What the pages say of brokers and their clients. What the clients do is held by the tests of `examples/brokers` and
//! `tests/rocketmq`.

use crate::{pages, project, read};

/// Its text, without its line breaks.
fn page(path: &str) -> String {
    read(path).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn assert_says(path: &str, sentences: &[&str]) {
    let page = page(path);
    for says in sentences {
        assert!(page.contains(says), "{path}: {says}");
    }
}

#[test]
fn the_book_says_why_a_brokers_deduplication_is_no_substitute() {
    assert_says(
        "docs/src/brokers.md",
        &[
            "A broker's own deduplication is no substitute for the business key.",
            "NATS 2.15 takes a resend with the same id for new, within its window,",
            "moto, the stand-in for AWS that tests use, carries out a transaction twice that has one token",
        ],
    );
}

#[test]
fn the_book_says_what_each_client_tells_of_an_acknowledgement_that_does_not_arrive() {
    assert_says(
        "docs/src/brokers.md",
        &[
            "| async-nats 0.51 | `ack`, `ack_with` | `Ok`, at once: it is only queued to be sent |",
            "on a channel that is closed, as by `consumer_timeout` | `Ok(false)`, no error |",
            "| rdkafka 0.39 | `commit_message` with `CommitMode::Async` | `Ok`: it is only queued.",
            "| rocketmq-client-rust 1.0 | the listener returns `ConsumeSuccess` | nothing:",
        ],
    );
}

/// A page shows what was seen by the script that shows it.
#[test]
fn each_finding_that_a_page_speaks_of_is_there() {
    let mut links = 0;
    for path in pages() {
        for link in page(&path).split("findings/").skip(1) {
            let name = link.split(')').next().unwrap();
            assert!(project().join("findings").join(name).exists(), "{path}: {name}");
            links += 1;
        }
    }
    assert!(links >= 3, "{links}");
}
