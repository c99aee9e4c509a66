//! What `tracing` is told of a call: each event names its key, and each call's end is told once.

mod books;
mod endings;
mod transactions;

use idem_tests::log::{Event, Events};

/// The only `ended` among these events: its key and its outcome.
fn ended(events: &[Event]) -> (&str, &str) {
    let mut all = events.iter().filter(|event| event.get("event").is_some_and(|name| name == "ended"));
    let (Some(event), None) = (all.next(), all.next()) else { panic!("not one ended: {events:#?}") };
    assert!(event["seconds"].parse::<f64>().unwrap() >= 0.0, "{event:?}");
    assert!(!event["scope"].is_empty(), "{event:?}");
    (&event["key"], &event["outcome"])
}

/// Whatever is said of a call has its scope and its key.
fn assert_named(events: &[Event], key: &str) {
    for event in events.iter().filter(|event| event.contains_key("scope")) {
        assert_eq!(event.get("key").map(String::as_str), Some(key), "{event:?}");
    }
}

/// How a call ended; what came before is said of its key, and how the call began.
fn told(key: &str, call: impl FnOnce()) -> (String, Vec<String>) {
    let ((), events) = Events::during(call);
    assert_named(&events, key);
    let (of, outcome) = ended(&events);
    assert_eq!(of, key);
    let began = events.iter().filter_map(|event| event.get("event").cloned()).filter(|name| name != "ended").collect();
    (outcome.to_owned(), began)
}
