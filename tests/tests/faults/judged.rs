//! Tests of the checker: histories that were made up, and the checker's verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::check;

const LEASE: Duration = Duration::from_secs(1);

/// Times and fences are in milliseconds, and the record is that of `fence`.
fn judge(lines: &[(&str, u64, u64, &str)], fence: u64) -> Result<(), String> {
    let record = |fence: u64| format!("k:{}:1", fence * 1_000);
    let lines = lines.iter().map(|(kind, fence, time, rest)| {
        let rest = match *kind {
            "Executed" | "Replayed" => record(rest.parse().unwrap()),
            "Renewed" => format!("{rest}000"),
            _ => (*rest).to_owned(),
        };
        format!("{kind} k {} 1 {} {rest}\n", fence * 1_000, time * 1_000)
    });
    let recorded = BTreeMap::from([("k".to_owned(), record(fence))]);
    check(&lines.collect::<String>(), &recorded, LEASE).map(drop)
}

/// A holder dies in its body, and another takes over.
fn takeover(at: u64) -> Vec<(&'static str, u64, u64, &'static str)> {
    vec![
        ("Granted", 10_000, 10_000, "a 0"),
        ("Start", 10_000, 10_001, "-"),
        ("Granted", at, at, "b 10000000"),
        ("Start", at, at + 1, "-"),
        ("End", at, at + 2, "-"),
        ("Completing", at, at + 3, "-"),
        ("Completed", at, at + 4, "-"),
        ("Executed", 0, at + 5, ""),
    ]
}

/// The history of a takeover, with these lines inserted before the last one.
fn with(at: u64, more: &[(&'static str, u64, u64, &'static str)], fence: u64) -> Result<(), String> {
    let mut lines = takeover(at);
    lines.pop();
    lines.extend(more);
    judge(&lines, fence)
}

#[test]
fn takeover_after_the_lease_is_sound() {
    with(11_000, &[("Executed", 0, 11_010, "11000"), ("Replayed", 0, 11_020, "11000")], 11_000).unwrap();
}

#[test]
fn late_end_of_a_stopped_holder_is_sound() {
    let late = [("End", 10_000, 12_000, "-"), ("Completing", 10_000, 12_001, "-"), ("Refused", 10_000, 12_002, "-")];
    with(11_000, &late, 11_000).unwrap();
}

#[test]
fn takeover_within_the_lease_is_found() {
    let error = with(10_900, &[], 10_900).unwrap_err();
    assert!(error.contains("within the lease"), "{error}");
}

#[test]
fn takeover_within_a_renewed_lease_is_found() {
    let error = with(11_000, &[("Renewed", 10_000, 10_340, "10333")], 11_000).unwrap_err();
    assert!(error.contains("within the lease"), "{error}");
}

#[test]
fn renewal_of_a_lost_lease_is_found() {
    let lines = [("Releasing", 10_000, 10_500, "a OutcomeUnknown"), ("Renewed", 10_000, 11_200, "11100")];
    let error = with(11_000, &lines, 11_000).unwrap_err();
    assert!(error.contains("could still renew"), "{error}");
}

#[test]
fn completion_of_a_lost_lease_is_found() {
    let error = with(11_000, &[("Completed", 10_000, 12_000, "-")], 11_000).unwrap_err();
    assert!(error.contains("replaced"), "{error}");
    let error = with(11_000, &[("Completed", 10_000, 12_000, "-")], 10_000).unwrap_err();
    assert!(error.contains("though fence"), "{error}");
}

#[test]
fn release_of_a_lost_lease_is_found() {
    let lines = [("Releasing", 10_000, 12_000, "a Failed"), ("Released", 10_000, 12_001, "Failed")];
    let error = with(11_000, &lines, 11_000).unwrap_err();
    assert!(error.contains("could still release"), "{error}");
}

#[test]
fn replay_of_another_result_is_found() {
    let error = with(11_000, &[("Replayed", 0, 12_000, "10000")], 11_000).unwrap_err();
    assert!(error.contains("not recorded"), "{error}");
}

#[test]
fn second_completion_is_found() {
    let twice = [("Executed", 0, 12_000, "11000"), ("Executed", 0, 12_001, "11000")];
    let error = with(11_000, &twice, 11_000).unwrap_err();
    assert!(error.contains("completed twice"), "{error}");
}

#[test]
fn second_run_in_one_claim_is_found() {
    let error = with(11_000, &[("Start", 11_000, 12_000, "-")], 11_000).unwrap_err();
    assert!(error.contains("ran twice"), "{error}");
}

#[test]
fn fence_of_two_owners_is_found() {
    let error = with(11_000, &[("Granted", 11_000, 12_000, "c 0")], 11_000).unwrap_err();
    assert!(error.contains("another's"), "{error}");
}

#[test]
fn takeover_that_is_not_told_is_found() {
    let mut lines = takeover(11_000);
    lines.pop();
    lines[2].3 = "b 0";
    let error = judge(&lines, 11_000).unwrap_err();
    assert!(error.contains("not told"), "{error}");
}
