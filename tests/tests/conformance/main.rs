//! Tests of the conformance suite: it passes sound stores, and fails each broken store in the case that was made for its fault.

mod sqlite;

use std::time::Duration;

use idem_runtime::conformance::{self, Suite};
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, ReleaseRequest, RenewRequest, Standing, StoreError,
};
use idem_runtime::{IdempotencyStore, MemoryStore, SqliteStore};
use idem_tests::reference::{Fault, Reference};
use idem_tests::standing::tells_gone_from_lost;

#[tokio::test(flavor = "multi_thread")]
async fn memory_store_conforms() {
    let store = MemoryStore::new();
    let clock = store.clone();
    Suite::new().clock(move |ahead| clock.set_clock_ahead(ahead)).run(async || store.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_store_conforms() {
    let store = Reference::new();
    let clock = store.clone();
    Suite::new().clock(move |ahead| clock.set_clock_ahead(ahead)).run(async || store.clone()).await;
}

/// Runs the suite on a current-thread runtime, as `#[tokio::test]` does.
#[tokio::test]
async fn suite_runs_on_a_current_thread_runtime() {
    conformance::run(|| async { Reference::new() }).await;
}

/// The suite allows a store to answer `Lost` where `Gone` would be right. These stores answer `Gone`.
#[tokio::test(flavor = "multi_thread")]
async fn r07_embedded_stores_tell_a_key_that_is_gone_from_one_that_another_has() {
    tells_gone_from_lost(&MemoryStore::new()).await;
    let dir = tempfile::tempdir().expect("a temporary folder");
    tells_gone_from_lost(&SqliteStore::open(dir.path().join("keys.db")).await.expect("a new file")).await;
}

/// Each fault, and the case that was made for it.
const FAULTS: &[(Fault, &str)] = &[
    (Fault::UnfencedEnding, "completion_after_a_takeover_is_lost"),
    (Fault::ReleaseByAnyone, "release_of_anothers_claim_is_lost"),
    (Fault::CheckThenAct, "of_racers_for_a_free_key_one_wins"),
    (Fault::NonAtomicTakeover, "of_racers_for_an_orphan_one_takes_over"),
    (Fault::ClientClock, "handles_share_the_stores_clock"),
    (Fault::ForgottenFence, "fence_grows_over_an_expiry"),
    (Fault::ForgottenFence, "fence_grows_over_a_forget"),
    (Fault::FoldedKeys, "keys_differ_by_case"),
    (Fault::NulEndsKeys, "keys_differ_by_nul_bytes"),
    (Fault::CutKeys, "longest_keys_differ_by_their_last_byte"),
    (Fault::CutScopes, "long_scopes_are_apart"),
    (Fault::JoinedScopeAndKey, "boundary_of_scope_and_key_is_kept"),
    (Fault::CutRecords, "records_of_any_length_come_back"),
    (Fault::CutRecords, "large_record_comes_back"),
    (Fault::NoExpiry, "expired_key_is_absent"),
    (Fault::EndlessLease, "dead_key_is_taken_over"),
    (Fault::WholeSeconds, "short_lease_is_neither_zero_nor_a_second"),
    (Fault::RenewalRevives, "renewal_does_not_revive_an_unknown_key"),
    (Fault::UpsertingCompletion, "completion_of_an_absent_key_is_lost"),
    (Fault::UpsertingCompletion, "completion_of_a_swept_key_is_lost"),
    (Fault::RepeatForgottenAfterTtl, "repeated_completion_is_held_after_its_ttl"),
    (Fault::StrictExpiry, "late_completion_is_held"),
    (Fault::EndedForgotten, "late_claim_after_a_failure_is_ended"),
    (Fault::EndedHasNoSlots, "last_four_owners_are_remembered"),
    (Fault::EndedHasThreeSlots, "last_four_owners_are_remembered"),
    (Fault::CompletedInFlight, "running_key_is_not_completed"),
    (Fault::FingerprintDropped, "completed_key_refuses_another_fingerprint"),
    (Fault::AtOnceForAnyFingerprint, "completed_key_refuses_another_fingerprint"),
    (Fault::AtOnceBeyondTtl, "expired_key_is_absent"),
    (Fault::FingerprintUncheckedOnOrphans, "orphan_refuses_another_fingerprint"),
    (Fault::SweepEatsOrphans, "sweep_leaves_parked_orphans"),
    (Fault::SweepIgnoresLinger, "sweep_leaves_rows_within_their_linger"),
    (Fault::NotRunForgetsDoubt, "not_run_of_a_takeover_restores_the_orphan"),
    (Fault::NotRunLeavesNoTombstone, "not_run_before_its_claim_refuses_it"),
    (Fault::NotRunFreesAnyone, "not_run_of_a_stranger_leaves_the_holder"),
    (Fault::AttemptKept, "not_run_gives_the_attempt_back"),
    (Fault::FailureDeletes, "failed_key_is_granted_as_after_failure"),
    (Fault::RepeatedClaimGrowsFence, "repeated_claim_is_granted_the_same"),
    (Fault::RepeatedClaimIsFirst, "repeated_takeover_is_granted_the_same"),
    (Fault::ForgetDeletes, "forgotten_key_refuses_its_late_requests"),
    (Fault::ResolutionKeepsFence, "resolved_as_executed_is_replayed"),
    (Fault::ResolutionIsFinal, "resolution_is_replaced"),
    (Fault::ReplacementKeepsRecord, "resolution_is_replaced"),
    (Fault::ResolutionReplacesAnyRecord, "only_an_orphan_is_resolved"),
    (Fault::ResolutionReplacesAnyRecord, "handlers_record_is_not_replaced"),
    (Fault::CompletionKeepsDoubt, "handlers_record_is_not_replaced"),
    (Fault::DeafWait, "waiter_hears_of_a_completion"),
    (Fault::DeafWait, "wait_for_what_has_happened_returns"),
    (Fault::LostWakeUp, "wait_that_meets_a_completion_returns"),
    (Fault::NothingRemains, "running_key_is_in_progress"),
    (Fault::PurgedBeforeItsFence, "fence_grows_over_a_clock_set_back"),
    (Fault::NotRunLeavesAnOldRow, "not_run_keeps_an_old_row"),
    (Fault::GoneForLost, "completion_after_a_takeover_is_lost"),
    (Fault::ReleaseOfDone, "release_of_a_completed_key_is_lost"),
];

const DIFFERENTIAL: &str = "answers_as_the_state_machine";

/// Faults that a random sequence of requests on one key can't find. Each needs two requests at once, two keys, a long record, a
/// clock that is off, an ending that nobody waits for, or an old row.
const BEYOND_SEQUENCES: &[Fault] = &[
    Fault::CheckThenAct,
    Fault::NonAtomicTakeover,
    Fault::FoldedKeys,
    Fault::NulEndsKeys,
    Fault::CutKeys,
    Fault::CutScopes,
    Fault::JoinedScopeAndKey,
    Fault::CutRecords,
    Fault::DeafWait,
    Fault::LostWakeUp,
    Fault::PurgedBeforeItsFence,
    Fault::NotRunLeavesAnOldRow,
];

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_fails_its_case() {
    let checks: Vec<_> = FAULTS
        .iter()
        .map(|&(fault, case)| {
            let store = Reference::broken(fault);
            let clock = store.clone();
            let suite = Suite::new().only(case).clock(move |ahead| clock.set_clock_ahead(ahead));
            tokio::spawn(async move { (fault, case, suite.check(async || store.clone()).await) })
        })
        .collect();
    let mut unnoticed = Vec::new();
    for check in checks {
        let (fault, case, report) = check.await.expect("a report");
        if !report.has_failed(case) {
            unnoticed.push((fault, case));
        }
    }
    assert!(unnoticed.is_empty(), "unnoticed: {unnoticed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_sequences_find_most_faults() {
    let mut faults: Vec<_> = FAULTS.iter().map(|(fault, _)| *fault).collect();
    faults.dedup();
    faults.retain(|fault| !BEYOND_SEQUENCES.contains(fault));
    let checks: Vec<_> = faults
        .into_iter()
        .map(|fault| {
            let suite = Suite::new().only(DIFFERENTIAL).seed(1).sequences(400, Duration::from_secs(15));
            tokio::spawn(async move { (fault, suite.check(|| async { Reference::broken(fault) }).await) })
        })
        .collect();
    let (mut found, mut missed) = (Vec::new(), Vec::new());
    for check in checks {
        let (fault, report) = check.await.expect("a report");
        if std::env::var_os("SHOW_REPORTS").is_some() {
            println!("{fault:?}: {report}\n");
        }
        if report.has_failed(DIFFERENTIAL) { found.push(fault) } else { missed.push(fault) }
    }
    println!("found {}: {found:?}\nmissed {}: {missed:?}", found.len(), missed.len());
    assert!(found.len() >= 20, "found {found:?}, missed {missed:?}");
}

/// A store without `IdempotencyAdmin` that panics if it is told to.
#[derive(Clone)]
struct Bare {
    inner: MemoryStore,
    panics: bool,
}

impl IdempotencyStore for Bare {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        assert!(!self.panics, "out of order");
        self.inner.claim(request).await
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        self.inner.renew(request).await
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        self.inner.complete(request).await
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        self.inner.release(request).await
    }
}

fn bare(panics: bool) -> Bare {
    Bare { inner: MemoryStore::new(), panics }
}

/// A store with the provided `wait` and without `IdempotencyAdmin` passes. Only the cases that need an operator or a clock that can
/// be set are skipped.
#[tokio::test(flavor = "multi_thread")]
async fn store_of_four_methods_conforms() {
    let report = conformance::check(|| async { bare(false) }).await;
    assert!(report.is_ok(), "{report}");
    let skipped = report.skipped();
    assert!(skipped.contains(&"operator_sees_a_key") && skipped.len() == 27, "{skipped:?}");
    assert_eq!(report.passed().len() + skipped.len(), Suite::cases().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_of_a_store_is_a_failed_case() {
    let suite = Suite::new().only("free_key_is_granted").only("of_racers_for_a_free_key_one_wins").only(DIFFERENTIAL);
    let report = suite.check(|| async { bare(true) }).await;
    assert_eq!(report.failures().len(), 3, "{report}");
    assert_eq!(report.failures()[0].answered(), "a panic: out of order");
}

#[tokio::test(flavor = "multi_thread")]
async fn report_names_the_case_the_rule_and_the_answer() {
    let suite = Suite::new().only("repeated_takeover_is_granted_the_same");
    let report = suite.check(|| async { Reference::broken(Fault::RepeatedClaimIsFirst) }).await.to_string();
    for part in
        ["1 of 1 cases failed", "repeated_takeover_is_granted_the_same", "R9", "its repeat", "AfterCrash", "First"]
    {
        assert!(report.contains(part), "{part} is not in: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[should_panic = "is not a conforming store: 1 of 1 cases failed"]
async fn run_panics_with_the_report() {
    Suite::new().only("keys_differ_by_case").run(|| async { Reference::broken(Fault::FoldedKeys) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistyped_case_fails() {
    let report = Suite::new().only("free_key_is_grnated").check(|| async { MemoryStore::new() }).await;
    assert!(!report.is_ok() && report.to_string().contains("free_key_is_grnated"), "{report}");
}

#[test]
fn cases_have_names_of_their_own() {
    let mut names: Vec<_> = Suite::cases().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count > 140, "{count} cases");
}

#[test]
fn each_fault_has_its_case() {
    for (fault, case) in FAULTS {
        assert!(Suite::cases().any(|name| name == *case), "{fault:?} names no case: {case}");
    }
}
