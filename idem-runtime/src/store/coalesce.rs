//! Requests that have to wait are carried out together: one round trip and one commit for all of them.
//!
//! A request that finds a lane free is carried out at once, in its caller's own future, alone. Where every lane is busy,
//! requests wait, and the first lane to be free takes all of them. So a lone caller never waits for company.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::background;
use crate::store::{Key, StoreError};

/// How many lanes there are: how many statements of one kind are under way at a time. With one, a statement that waits
/// for another process's row would hold up every key; each further one makes the batches smaller.
const LANES: usize = 2;

/// How many requests one batch carries at most.
const MOST: usize = 500;

/// A request for one key.
pub(crate) trait Placed {
    /// Which key.
    fn place(&self) -> (&str, &Key);
}

/// One kind of request to one store.
pub(crate) trait Work: Clone + Send + Sync + 'static {
    /// What is asked.
    type Request: Placed + Send + Sync + 'static;
    /// What is answered.
    type Answer: Send + 'static;

    /// Those who wait.
    fn lanes(&self) -> &Lanes<Self::Request, Self::Answer>;

    /// Carries out requests for different keys, in the order of scope and key, and answers each in its place.
    fn carry_out(
        &self,
        requests: &[Self::Request],
    ) -> impl Future<Output = Vec<Result<Self::Answer, StoreError>>> + Send;
}

/// Who is being served, and who waits.
pub(crate) struct Lanes<R, A>(Mutex<Queue<R, A>>);

struct Queue<R, A> {
    busy: usize,
    /// Empty while a lane is free.
    waiting: Vec<Waiting<R, A>>,
}

struct Waiting<R, A> {
    request: R,
    answer: oneshot::Sender<Result<A, StoreError>>,
}

impl<R, A> Default for Lanes<R, A> {
    fn default() -> Self {
        Self(Mutex::new(Queue { busy: 0, waiting: Vec::new() }))
    }
}

impl<R: Placed, A> Lanes<R, A> {
    fn lock(&self) -> MutexGuard<'_, Queue<R, A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a lane, or else gets in the queue.
    fn enter(&self, request: R) -> Result<R, oneshot::Receiver<Result<A, StoreError>>> {
        let mut queue = self.lock();
        if queue.busy < LANES {
            queue.busy += 1;
            return Ok(request);
        }
        let (answer, answered) = oneshot::channel();
        queue.waiting.push(Waiting { request, answer });
        Err(answered)
    }

    /// Those whose turn it is, or none, and then the lane is free.
    fn next(&self) -> Vec<Waiting<R, A>> {
        let mut queue = self.lock();
        // Who has gone has left the key by a request of its own.
        queue.waiting.retain(|waiting| !waiting.answer.is_closed());
        let mut batch = std::mem::take(&mut queue.waiting);
        // In one order everywhere: two batches that share keys don't wait for each other crosswise.
        batch.sort_by(|a, b| {
            let ((a_scope, a_key), (b_scope, b_key)) = (a.request.place(), b.request.place());
            (a_scope, a_key.as_bytes()).cmp(&(b_scope, b_key.as_bytes()))
        });
        let mut taken: Vec<Waiting<R, A>> = Vec::with_capacity(batch.len().min(MOST));
        for waiting in batch {
            let is_new = taken.last().is_none_or(|last| last.request.place() != waiting.request.place());
            if is_new && taken.len() < MOST { &mut taken } else { &mut queue.waiting }.push(waiting);
        }
        if taken.is_empty() {
            queue.busy -= 1;
        }
        taken
    }
}

/// Carries out a request: at once, or together with those that wait too.
pub(crate) async fn submit<W: Work>(work: &W, request: W::Request) -> Result<W::Answer, StoreError> {
    let answer = match work.lanes().enter(request) {
        Ok(request) => {
            let _lane = Lane(work.clone());
            work.carry_out(&[request]).await.pop()
        }
        Err(answered) => answered.await.ok(),
    };
    answer.unwrap_or_else(|| Err(StoreError::unanswered("batch", "the runtime that carried out the request has ended")))
}

/// A lane that is being used; whoever leaves it, in whatever way, hands it on.
struct Lane<W: Work>(W);

impl<W: Work> Drop for Lane<W> {
    fn drop(&mut self) {
        let batch = self.0.lanes().next();
        if batch.is_empty() {
            return;
        }
        let lane = Self(self.0.clone());
        let served = async move {
            let (requests, answers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.request, waiting.answer)).unzip();
            for (answer, caller) in lane.0.carry_out(&requests).await.into_iter().zip(answers) {
                // The caller may have gone.
                let _ = caller.send(answer);
            }
        };
        // Where the runtime is shutting down, this drops the task, and with it the lane: the next ones get their turn.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(served)),
            Err(_) => match background::handle() {
                Some(runtime) => drop(runtime.spawn(served)),
                None => drop(served),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    struct Request(Key);

    impl Placed for Request {
        fn place(&self) -> (&str, &Key) {
            ("scope", &self.0)
        }
    }

    fn request(key: &str) -> Request {
        Request(Key::from_bytes(key.as_bytes()).expect("a key"))
    }

    /// Notes which keys are carried out together, each time once it is let.
    #[derive(Clone)]
    struct Notes(Arc<Inner>);

    struct Inner {
        lanes: Lanes<Request, usize>,
        go: Semaphore,
        batches: Mutex<Vec<Vec<String>>>,
    }

    impl Notes {
        fn new() -> Self {
            Self(Arc::new(Inner { lanes: Lanes::default(), go: Semaphore::new(0), batches: Mutex::default() }))
        }

        fn batches(&self) -> Vec<Vec<String>> {
            self.0.batches.lock().expect("no test has panicked").clone()
        }

        fn waiting(&self) -> usize {
            self.0.lanes.lock().waiting.len()
        }
    }

    impl Work for Notes {
        type Request = Request;
        type Answer = usize;

        fn lanes(&self) -> &Lanes<Request, usize> {
            &self.0.lanes
        }

        async fn carry_out(&self, requests: &[Request]) -> Vec<Result<usize, StoreError>> {
            let keys = requests.iter().map(|request| request.0.to_string()).collect();
            self.0.batches.lock().expect("no test has panicked").push(keys);
            self.0.go.acquire().await.expect("it is never closed").forget();
            (0..requests.len()).map(Ok).collect()
        }
    }

    /// Lets a spawned task come as far as it can.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_waits_is_served_together_and_each_key_once() {
        let notes = Notes::new();
        let mut calls = tokio::task::JoinSet::new();
        for key in ["1", "2", "d", "b", "a", "b", "c"] {
            let notes = notes.clone();
            calls.spawn(async move { submit(&notes, request(key)).await.is_ok() });
            settle().await;
        }
        assert_eq!(notes.batches(), [["1"], ["2"]], "a free lane is taken at once");
        notes.0.go.add_permits(1);
        settle().await;
        assert_eq!(notes.batches()[2..], [["a", "b", "c", "d"]], "all who wait, sorted");
        notes.0.go.add_permits(10);
        settle().await;
        assert_eq!(notes.batches()[3..], [["b"]], "the same key once more goes by itself");
        assert!(calls.join_all().await.into_iter().all(|answered| answered));
    }

    #[tokio::test]
    async fn a_caller_that_goes_hands_its_lane_on() {
        let notes = Notes::new();
        let holders: Vec<_> = ["1", "2"]
            .into_iter()
            .map(|key| {
                let notes = notes.clone();
                tokio::spawn(async move { submit(&notes, request(key)).await })
            })
            .collect();
        settle().await;
        let waiter = tokio::spawn({
            let notes = notes.clone();
            async move { submit(&notes, request("3")).await }
        });
        let gone = tokio::spawn({
            let notes = notes.clone();
            async move { submit(&notes, request("4")).await }
        });
        settle().await;
        gone.abort();
        assert_eq!(notes.waiting(), 2);
        for holder in holders {
            holder.abort();
        }
        notes.0.go.add_permits(1);
        assert_eq!(waiter.await.expect("it was not aborted").expect("it is carried out"), 0);
        assert_eq!(notes.batches()[2..], [["3"]], "who has gone is not served");
        settle().await;
        assert_eq!(notes.0.lanes.lock().busy, 0, "every lane is free again");
    }
}
