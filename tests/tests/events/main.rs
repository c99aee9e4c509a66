//! The `tracing` events of a call: each has the call's key, and there is one event for the end of each call.

mod books;
mod endings;
mod transactions;

use idem_tests::log::{Event, Events};

/// The key and the outcome of the event `ended`, of which there has to be one.
fn ended(events: &[Event]) -> (&str, &str) {
    let mut all = events.iter().filter(|event| event.get("event").is_some_and(|name| name == "ended"));
    let (Some(event), None) = (all.next(), all.next()) else { panic!("not one ended: {events:#?}") };
    assert!(event["seconds"].parse::<f64>().unwrap() >= 0.0, "{event:?}");
    assert!(!event["scope"].is_empty(), "{event:?}");
    (&event["key"], &event["outcome"])
}

/// Asserts that each event of a call has the call's key.
fn assert_named(events: &[Event], key: &str) {
    for event in events.iter().filter(|event| event.contains_key("scope")) {
        assert_eq!(event.get("key").map(String::as_str), Some(key), "{event:?}");
    }
}

/// Runs a call. Returns its outcome, and the names of the events before its end. Asserts that all of them have this key.
fn told(key: &str, call: impl FnOnce()) -> (String, Vec<String>) {
    let ((), events) = Events::during(call);
    assert_named(&events, key);
    let (of, outcome) = ended(&events);
    assert_eq!(of, key);
    let began = events.iter().filter_map(|event| event.get("event").cloned()).filter(|name| name != "ended").collect();
    (outcome.to_owned(), began)
}
