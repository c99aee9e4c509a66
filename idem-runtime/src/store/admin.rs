//! The operator's interface to a store: look at keys, resolve them, forget them, sweep.

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
use std::cmp::Ordering;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::error::StoreError;
use crate::protocol::{Key, Record, Standing};
use crate::protocol::{Row, State};

/// How many entries a page of the provided [`IdempotencyAdmin::visit`] has.
const PAGE: usize = 1_000;

/// A boxed future, so that `dyn IdempotencyAdmin` is possible.
pub type AdminFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// One key and its row.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The scope of the key.
    pub scope: String,
    /// The key.
    pub key: Key,
    /// Its row.
    pub row: Row,
    /// The store's clock when the row was read, in microseconds since the Unix epoch. `row.until` is a time of the same
    /// clock.
    pub now: u64,
}

impl Entry {
    /// Makes an entry. For implementers of [`IdempotencyAdmin`].
    pub fn new(scope: String, key: Key, row: Row, now: u64) -> Self {
        Self { scope, key, row, now }
    }

    /// Whether the outcome of the key's last holder is unknown, so that [`IdempotencyAdmin::resolve`] applies.
    pub fn is_orphan(&self) -> bool {
        self.row.is_orphan(self.now)
    }

    /// Whether an operator wrote the key's record, so that [`IdempotencyAdmin::resolve`] can replace it.
    pub fn is_resolution(&self) -> bool {
        self.row.is_resolution(self.now)
    }
}

/// Which keys to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Filter {
    /// Only keys of this scope.
    pub scope: Option<String>,
    /// Only keys in this state.
    pub state: Option<State>,
    /// Only orphans: keys whose last holder's outcome is unknown. [`IdempotencyAdmin::resolve`] resolves them.
    pub orphans: bool,
    /// Only keys after this one, in the order of scope and key bytes. To get the next page, give the last key of the
    /// page before.
    pub after: Option<(String, Key)>,
    /// At most this many.
    pub limit: usize,
}

impl Filter {
    /// Every key, in pages of 100.
    pub fn all() -> Self {
        Self { limit: 100, ..Self::default() }
    }

    /// Only keys of this scope.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Only keys in this state.
    #[must_use]
    pub fn state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// Only orphans: keys whose last holder's outcome is unknown.
    #[must_use]
    pub fn orphans(mut self) -> Self {
        self.orphans = true;
        self
    }

    /// Only keys after this one.
    #[must_use]
    pub fn after(mut self, entry: &Entry) -> Self {
        self.after = Some((entry.scope.clone(), entry.key.clone()));
        self
    }

    /// Whether an entry matches the filter. Ignores the limit.
    pub fn accepts(&self, entry: &Entry) -> bool {
        let after = self.after.as_ref().map(|(scope, key)| (scope.as_str(), key.as_bytes()));
        self.scope.as_ref().is_none_or(|scope| *scope == entry.scope)
            && self.state.is_none_or(|state| state == entry.row.state)
            && (!self.orphans || entry.is_orphan())
            && after.is_none_or(|after| (entry.scope.as_str(), entry.key.as_bytes()) > after)
    }

    /// Where the listing begins, for a store that seeks to it in an index.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    pub(crate) fn start(&self) -> Start<'_> {
        match (&self.scope, &self.after) {
            (_, None) => Start::First,
            (None, Some((scope, key))) => Start::After(scope, key),
            (Some(scope), Some((after, key))) => match scope.cmp(after) {
                Ordering::Less => Start::Nowhere,
                Ordering::Equal => Start::AfterInScope(key),
                Ordering::Greater => Start::First,
            },
        }
    }

    /// At most this many.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

/// Where a listing begins.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub(crate) enum Start<'a> {
    /// At the first key of the scope, or of all scopes.
    First,
    /// After this scope and key.
    After(&'a str, &'a Key),
    /// After this key in the filter's scope.
    AfterInScope(&'a Key),
    /// The listing is empty.
    Nowhere,
}

/// How many keys a store has in each state, and how far its clock is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// A holder has a live lease.
    pub running: u64,
    /// Orphans: the outcome of the last holder is unknown.
    pub orphaned: u64,
    /// Free: the last attempt failed or did nothing, or no attempt ran.
    pub free: u64,
    /// Completed.
    pub completed: u64,
    /// How many of the completed and the free keys a sweep would delete.
    pub sweepable: u64,
    /// How far the store's clock is ahead of this process's clock, in microseconds; negative if it is behind. The error
    /// is at most half of the time that one request took: the store is taken to read its clock in the middle of the
    /// request. In a cluster, it is the clock that is furthest off. `None` if the store doesn't tell its time.
    ///
    /// No decision depends on this value. It shows that the clock of the server or of this machine was set, or isn't
    /// synchronized.
    pub clock_ahead_micros: Option<i64>,
}

impl Stats {
    /// Counts one row.
    pub fn count(&mut self, row: &Row, now: u64) {
        if row.is_sweepable(now) {
            self.sweepable += 1;
        }
        match row.state {
            _ if row.is_orphan(now) => self.orphaned += 1,
            State::Running | State::Kept | State::Unknown => self.running += 1,
            State::Free => self.free += 1,
            State::Done => self.completed += 1,
        }
    }

    /// Takes in one reading of a clock of the store, `says`, in microseconds since the Unix epoch. `sent` is when the
    /// request for it was sent; the answer has just arrived.
    pub fn compare_clock(&mut self, says: u64, sent: SystemTime) {
        let since_epoch = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let halfway = since_epoch(sent).midpoint(since_epoch(SystemTime::now()));
        let ahead = i128::from(says) - i128::try_from(halfway).unwrap_or(i128::MAX);
        let ahead = i64::try_from(ahead).unwrap_or(i64::MAX);
        if self.clock_ahead_micros.is_none_or(|known| known.unsigned_abs() <= ahead.unsigned_abs()) {
            self.clock_ahead_micros = Some(ahead);
        }
    }
}

/// How an operator resolves an orphan, or a key that an operator has resolved before.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// The body took effect. Duplicates get this result for `ttl`.
    Executed {
        /// Made by [`Resolution::executed`].
        record: Record,
        /// How long the record is remembered, from now.
        ttl: Duration,
    },
    /// The body took no effect: the next delivery runs it. Applies only to an orphan. To undo a resolution, use
    /// [`IdempotencyAdmin::forget`].
    NotExecuted,
}

impl Resolution {
    /// The body took effect, and this is the value that the handler would have returned in `Ok`.
    ///
    /// `T` has to be the handler's type. No store checks this: if the type is another one, each duplicate of the key
    /// gets [`Error::Decode`](crate::Error::Decode). [`Record::describe`] shows what an earlier result of the scope
    /// looks like. A wrong resolution can be replaced:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use idem_runtime::store::{ClaimAnswer, ClaimRequest, Leave, Owner, ReleaseRequest};
    /// use std::time::Duration;
    /// use idem_runtime::admin::{IdempotencyAdmin, Resolution};
    /// use idem_runtime::store::{IdempotencyStore, Key, Standing};
    /// use idem_runtime::MemoryStore;
    ///
    /// const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    /// let (store, key) = (MemoryStore::new(), Key::of("order-1").expect("a short key"));
    /// # let claim = ClaimRequest::new("charge", &key, Owner([1; 16]), WEEK);
    /// # let ClaimAnswer::Acquired(grant) = store.claim(claim).await? else { unreachable!() };
    /// # store.release(ReleaseRequest::new(&claim, grant.fence, Leave::OutcomeUnknown)).await?;
    /// // The handler returns a `String`, and this is a number.
    /// store.resolve("charge", &key, Resolution::executed(&42_u8, WEEK)?).await?;
    /// let (_, record) = store.get("charge", &key).await?.expect("it was resolved");
    /// assert_eq!(record.expect("it is completed").describe(), "result: 42");
    ///
    /// let right = Resolution::executed("receipt-42", WEEK)?;
    /// assert_eq!(store.resolve("charge", &key, right).await?, Standing::Held);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) if the result can't be encoded.
    pub fn executed<T: Serialize + ?Sized>(result: &T, ttl: Duration) -> Result<Self, crate::Error> {
        let record = crate::codec::record::encode_value(result)
            .ok_or_else(|| crate::Error::config("the result to resolve the key with can't be encoded"))?;
        Ok(Self::Executed { record, ttl })
    }
}

/// The operator's interface to a store. Every store of this crate implements it.
/// [`admin::connect`](crate::admin::connect) opens a store by URL for an operator only. A store that is open returns it
/// from [`IdempotencyStore::admin`](crate::IdempotencyStore::admin).
///
/// ```no_run
/// # async fn settle() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use idem_runtime::admin::{Filter, Resolution};
/// use idem_runtime::store::{Key, Standing};
///
/// let admin = idem_runtime::admin::connect("postgres://operator@db.example/app").await?;
///
/// // By scope and key, which for `key = "tenant, order_id"` is that of a tuple.
/// let key = Key::of(&("acme", "order-1")).expect("it is neither missing nor too long");
/// if let Some((entry, _record)) = admin.get("shop::orders::charge", &key).await? {
///     println!("{}: {:?}, attempt {}", entry.key, entry.row.state, entry.row.attempt);
/// }
/// for parked in admin.list(Filter::all().orphans()).await? {
///     // Look at the provider: was the order charged? If not, `Resolution::NotExecuted`.
///     let found = Resolution::executed(&"receipt-1", Duration::from_secs(7 * 24 * 60 * 60))?;
///     match admin.resolve(&parked.scope, &parked.key, found).await? {
///         Standing::Held => println!("{}: settled", parked.key),
///         refused => eprintln!("{}: nothing was changed: {refused:?}", parked.key),
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub trait IdempotencyAdmin: Send + Sync {
    /// Reads one key, with its record if it is completed. One round trip.
    fn get<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Option<(Entry, Option<Record>)>>;

    /// Lists the keys that match, in the order of scope and key bytes. If there are fewer than the filter's limit, this
    /// page is the last. One round trip a page.
    fn list(&self, filter: Filter) -> AdminFuture<'_, Vec<Entry>>;

    /// Calls `see` with every key that matches, once for each, in any order and in bounded memory. The filter's limit
    /// does not apply. A key that is written meanwhile may be included or not.
    ///
    /// The provided method reads pages of 1,000 keys, one round trip each. A store overrides it if it has a cheaper way
    /// to read all keys.
    ///
    /// ```
    /// # async fn scopes(admin: &dyn idem_runtime::IdempotencyAdmin) -> Result<(), idem_runtime::store::StoreError> {
    /// use std::collections::BTreeMap;
    /// use idem_runtime::admin::Filter;
    ///
    /// let mut keys_by_scope = BTreeMap::new();
    /// admin.visit(&Filter::all(), &mut |entry| *keys_by_scope.entry(entry.scope).or_insert(0) += 1).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`list`](Self::list). `see` may have been called with some of the keys by then.
    fn visit<'a>(&'a self, filter: &'a Filter, see: &'a mut (dyn FnMut(Entry) + Send)) -> AdminFuture<'a, ()> {
        Box::pin(async move {
            let mut next = Some(filter.clone().limit(PAGE));
            while let Some(filter) = next.take() {
                let page = self.list(filter.clone()).await?;
                next = page.last().filter(|_| page.len() == PAGE).map(|last| filter.after(last));
                page.into_iter().for_each(&mut *see);
            }
            Ok(())
        })
    }

    /// Resolves a key whose outcome is unknown. Its last holder can't complete it any more. [`Resolution::Executed`]
    /// also replaces the record of an earlier resolution; the new `ttl` counts from now ([`Entry::is_resolution`]).
    ///
    /// For any other key the answer is [`Standing::Lost`], or [`Standing::Gone`] if the key is unknown, and nothing is
    /// changed. A record that a handler made is never replaced. [`Resolution::NotExecuted`] doesn't undo a resolution:
    /// [`forget`](Self::forget) does.
    ///
    /// The request can be repeated after a lost answer. Before you send another resolution, look at the key with
    /// [`get`](Self::get): a late copy of the first request would replace the second one. Also look at the key after an
    /// unexpected `Lost`: some drivers repeat requests by themselves, as the driver of a Redis cluster does when a node
    /// changes, and the second `NotExecuted` then finds the key resolved already.
    fn resolve<'a>(&'a self, scope: &'a str, key: &'a Key, resolution: Resolution) -> AdminFuture<'a, Standing>;

    /// Frees a key, whatever its state: the next delivery runs the body. Its last holder can't complete it any more.
    /// [`Standing::Gone`] if the key is unknown.
    fn forget<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Standing>;

    /// Counts the keys in each state, and compares the store's clock with this process's. It first asks for the time,
    /// in a round trip of its own if the store is a server, and then reads every key.
    fn stats(&self) -> AdminFuture<'_, Stats>;

    /// Deletes at most `at_most` rows that are no longer needed, and returns how many it deleted.
    fn sweep(&self, at_most: usize) -> AdminFuture<'_, usize>;
}
