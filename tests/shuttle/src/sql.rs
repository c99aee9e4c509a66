//! The coalescing queue of the SQL stores, without their drivers: each request is answered once.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../../../idem-runtime/src/store/sql/coalesce.rs"]
mod coalesce;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::RuntimeFlavor;

use self::coalesce::{Lanes, Placed, Work, submit};
use crate::store::{Key, StoreError};
use crate::subjects::FOR_EVER;
use crate::task::block_on::block_on;
use crate::task::sync::atomic::{AtomicUsize, Ordering};
use crate::task::sync::runtime::Handle;
use crate::task::sync::thread;
use crate::task::timer;

/// A statement may take any time.
const LONGEST_STATEMENT: Duration = FOR_EVER;

/// As much of the SQL stores' as the queue looks at.
pub(super) trait Dialect {
    const STORE: &'static str;
}

/// As much of the SQL stores' as the queue looks at.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Refused,
    Outrun,
    TimedOut(Duration),
}

impl Failure {
    fn is_definite(&self) -> bool {
        matches!(self, Self::Refused)
    }

    fn into_error<D: Dialect>(self) -> StoreError {
        let why = match self {
            Self::Refused => "refused".to_owned(),
            Self::Outrun => "outrun".to_owned(),
            Self::TimedOut(after) => format!("no answer within {after:?}"),
        };
        StoreError::unanswered(D::STORE, why)
    }
}

const CALLERS: usize = 5;

struct Request {
    key: Key,
    caller: usize,
}

impl Request {
    /// Two callers have one key.
    fn of(caller: usize) -> Self {
        Self { key: Key::from_bytes(&[b'a' + u8::try_from(caller / 2).unwrap()]).unwrap(), caller }
    }
}

impl Placed for Request {
    fn place(&self) -> (&str, &Key) {
        ("scope", &self.key)
    }
}

/// A store that takes its time, and answers who asked.
#[derive(Clone, Default)]
struct Slow(Arc<Inner>);

#[derive(Default)]
struct Inner {
    lanes: Lanes<Request, usize>,
    sent: [AtomicUsize; CALLERS],
}

impl Dialect for Slow {
    const STORE: &'static str = "a slow store";
}

impl Work for Slow {
    type Request = Request;
    type Answer = usize;
    type Dialect = Self;

    fn lanes(&self) -> &Lanes<Request, usize> {
        &self.0.lanes
    }

    async fn send(&self, requests: &[&Request]) -> Result<Vec<Option<usize>>, Failure> {
        let is_sorted = requests.windows(2).all(|pair| pair[0].key.as_bytes() < pair[1].key.as_bytes());
        assert!(is_sorted, "a batch is of different keys, in their order");
        for request in requests {
            self.0.sent[request.caller].fetch_add(1, Ordering::SeqCst);
        }
        if requests.len() > 1 && requests.iter().any(|request| request.caller == 4) {
            return Err(Failure::Refused);
        }
        timer::sleep(Duration::from_millis(1)).await;
        Ok(requests.iter().map(|request| Some(request.caller)).collect())
    }
}

/// Each of five threads gets the answer to its own request, which is sent once; but for those that were refused together
/// for the sake of one, and are sent alone then.
pub fn each_request_is_answered_once() {
    let store = Slow::default();
    let callers = [0, 1, 2, 3, 4].map(|caller| {
        let store = store.clone();
        thread::spawn(move || block_on(submit(&store, Request::of(caller))))
    });
    for (caller, thread) in callers.into_iter().enumerate() {
        assert_eq!(thread.join().unwrap().unwrap(), caller);
        let sent = store.0.sent[caller].load(Ordering::SeqCst);
        assert!((1..=2).contains(&sent), "caller {caller}'s request was sent {sent} times");
    }
}

/// Two callers are dropped, by an abort and by the end of their runtime: each of the others gets its answer.
pub fn a_caller_that_goes_hands_its_lane_on() {
    let store = Slow::default();
    let home = Handle::new(RuntimeFlavor::MultiThread);
    let gone = [0, 2].map(|caller| {
        let store = store.clone();
        home.spawn(async move { submit(&store, Request::of(caller)).await.is_ok() })
    });
    let callers = [1, 3, 4].map(|caller| {
        let store = store.clone();
        thread::spawn(move || block_on(submit(&store, Request::of(caller))).map(|answer| assert_eq!(answer, caller)))
    });
    gone[0].abort();
    home.end();
    for thread in callers {
        // A batch that the runtime had begun ends with it, and says so.
        let answer = thread.join().unwrap();
        assert!(answer.as_ref().err().is_none_or(|error| error.to_string().contains("has ended")), "{answer:?}");
    }
}
