//! A call site: one annotated handler, with the settings of its attribute.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use once_cell::sync::Lazy;

use crate::error::Error;
use crate::protocol::Orphans;

/// One annotated handler. The attribute puts a `static` of this type into the function.
#[derive(Debug)]
pub struct Site {
    pub(crate) scope: &'static str,
    /// The expression of the key, if it is one.
    key: &'static str,
    /// The expressions of the parts of a composite key.
    parts: &'static [&'static str],
    pub(crate) ttl: Duration,
    pub(crate) lease: Duration,
    pub(crate) wait: Duration,
    pub(crate) orphans: Orphans,
    /// Whether a sweep may delete an orphan. So with `on_crash = "rerun"`, and not with `"park"` or a function.
    pub(crate) forgets_orphans: bool,
    pub(crate) runs_without_key: bool,
    pub(crate) runs_without_store: bool,
    file: &'static str,
    line: u32,
    registered: AtomicBool,
    /// Whether the warning about an outcome that can't be read back was logged.
    pub(crate) told_unreadable: AtomicBool,
    #[cfg(feature = "metrics")]
    pub(crate) labels: crate::handler::event::Labels,
}

impl Site {
    /// A site with the default of each setting.
    pub const fn new(scope: &'static str, file: &'static str, line: u32) -> Self {
        Self {
            scope,
            key: "key",
            parts: &[],
            ttl: Duration::from_secs(7 * 24 * 60 * 60),
            lease: Duration::from_secs(60),
            wait: Duration::ZERO,
            orphans: Orphans::Take,
            forgets_orphans: true,
            runs_without_key: false,
            runs_without_store: false,
            file,
            line,
            registered: AtomicBool::new(false),
            told_unreadable: AtomicBool::new(false),
            #[cfg(feature = "metrics")]
            labels: crate::handler::event::Labels::new(),
        }
    }

    /// The key is one expression. The error about a missing key names it.
    #[must_use]
    pub const fn key(mut self, expression: &'static str) -> Self {
        self.key = expression;
        self
    }

    /// The key is composed of these expressions. The error about a missing key names one of them.
    #[must_use]
    pub const fn parts(mut self, expressions: &'static [&'static str]) -> Self {
        self.parts = expressions;
        self
    }

    /// How long a completed key is remembered.
    #[must_use]
    pub const fn ttl(mut self, nanos: u64) -> Self {
        self.ttl = Duration::from_nanos(nanos);
        self
    }

    /// How long a holder keeps its key without a renewal.
    #[must_use]
    pub const fn lease(mut self, nanos: u64) -> Self {
        self.lease = Duration::from_nanos(nanos);
        self
    }

    /// How long a duplicate waits for the call that is running.
    #[must_use]
    pub const fn wait(mut self, nanos: u64) -> Self {
        self.wait = Duration::from_nanos(nanos);
        self
    }

    /// `on_crash = "park"`.
    #[must_use]
    pub const fn park(mut self) -> Self {
        self.orphans = Orphans::Refuse;
        self.forgets_orphans = false;
        self
    }

    /// `on_crash` is a function.
    #[must_use]
    pub const fn reconcile(mut self) -> Self {
        self.forgets_orphans = false;
        self
    }

    /// `missing_key = "run"`.
    #[must_use]
    pub const fn run_without_key(mut self) -> Self {
        self.runs_without_key = true;
        self
    }

    /// `on_store_error = "run"`.
    #[must_use]
    pub const fn run_without_store(mut self) -> Self {
        self.runs_without_store = true;
        self
    }

    /// How long after its lease the row of an orphan stays. `None`: until an operator resolves it.
    pub(crate) fn retain(&self) -> Option<Duration> {
        self.forgets_orphans.then_some(self.ttl)
    }

    /// The error for a key that is missing, or whose part with this index is.
    #[cold]
    pub(crate) fn missing_key(&self, part: Option<usize>) -> Error {
        let (expression, part) = match part.and_then(|index| self.parts.get(index)) {
            Some(expression) => (*expression, None),
            None => (self.key, part.map(|index| index + 1)),
        };
        Error::MissingKey { scope: self.scope, expression, part }
    }

    /// Whether a call of this site has registered it.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed)
    }

    /// Refuses a second site with this scope, because each would replay the other's results.
    pub(crate) fn register(&'static self) -> Result<(), Error> {
        if self.is_registered() { Ok(()) } else { self.register_slow() }
    }

    #[cold]
    fn register_slow(&'static self) -> Result<(), Error> {
        static SITES: Lazy<Mutex<HashMap<&'static str, &'static Site>>> = Lazy::new(Mutex::default);
        let first = *SITES.lock().unwrap_or_else(PoisonError::into_inner).entry(self.scope).or_insert(self);
        if std::ptr::eq(first, self) {
            self.registered.store(true, Ordering::Relaxed);
            return Ok(());
        }
        Err(Error::ScopeTaken { scope: self.scope, first: first.place(), second: self.place() })
    }

    fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}
