//! A store in a SQL database beside the same by hand.

use std::future::Future;

use crate::load::{ROUNDS, Rates, rate};

/// A store and a pool on one database.
pub trait Subject: Clone + Send + Sync + 'static {
    /// A first execution through the attribute.
    fn execute(self, number: usize) -> impl Future<Output = ()> + Send;
    /// A duplicate through the attribute.
    fn replay(self, number: usize) -> impl Future<Output = ()> + Send;
    /// A claim and a completion as one would write them: a commit each.
    fn two_commits(self, number: usize) -> impl Future<Output = ()> + Send;
    /// The recorded result by its key.
    fn select(self, number: usize) -> impl Future<Output = ()> + Send;
}

/// By hand, one caller.
pub const HAND_ONE: &str = "by hand, 1 caller, two commits";
/// By hand, many callers.
pub const HAND_MANY: &str = "by hand, 64 callers, two commits";
/// A first execution, one caller.
pub const ONE: &str = "store, 1 caller";
/// First executions, many callers.
pub const MANY: &str = "store, 64 callers";
/// A duplicate, one caller.
pub const REPLAY_ONE: &str = "duplicate, 1 caller";
/// Duplicates, many callers.
pub const REPLAY_MANY: &str = "duplicate, 64 callers";
/// The least that a duplicate can cost, one caller.
pub const SELECT_ONE: &str = "SELECT by key, 1 caller";
/// The same, many callers.
pub const SELECT_MANY: &str = "SELECT by key, 64 callers";

/// Measures everything in turns, each round on empty tables.
pub async fn compare<S: Subject>(empty: impl AsyncFn() -> S) -> Rates {
    const FEW: usize = 1_000;
    const DONE: usize = 4_000;
    let mut rates = Rates::default();
    for _ in 0..ROUNDS {
        let subject = empty().await;
        rates.note(HAND_ONE, rate(1, FEW, on(&subject, S::two_commits)).await);
        rates.note(ONE, rate(1, FEW, on(&subject, S::execute)).await);
        let hand = on(&subject, S::two_commits);
        rates.note(HAND_MANY, rate(64, 5_000, move |number| hand(FEW + number)).await);
        let store = on(&subject, S::execute);
        rates.note(MANY, rate(64, 20_000, move |number| store(FEW + number)).await);
        let select = on(&subject, S::select);
        rates.note(SELECT_ONE, rate(1, 5_000, move |number| select(number % DONE)).await);
        let replay = on(&subject, S::replay);
        rates.note(REPLAY_ONE, rate(1, 5_000, move |number| replay(number % DONE)).await);
        let select = on(&subject, S::select);
        rates.note(SELECT_MANY, rate(64, 40_000, move |number| select(number % DONE)).await);
        let replay = on(&subject, S::replay);
        rates.note(REPLAY_MANY, rate(64, 40_000, move |number| replay(number % DONE)).await);
    }
    rates
}

/// An operation on this subject.
fn on<S: Subject, F, O: Fn(S, usize) -> F + Clone>(
    subject: &S,
    operation: O,
) -> impl Fn(usize) -> F + Clone + use<S, F, O> {
    let subject = subject.clone();
    move |number| operation(subject.clone(), number)
}
