//! Requests that have to wait are sent together, in one batch: one round trip and one commit for all of them.
//!
//! There are [`LANES`] lanes for each kind of request. A request that finds a free lane takes it, and is sent at once
//! and alone, in its caller's own future. If every lane is taken, the request waits in the queue. The first lane that
//! becomes free takes all waiting requests. So a lone request never waits for others to fill a batch.

#[cfg(test)]
#[path = "coalesce/tests.rs"] // tests/shuttle includes this file
mod tests;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::PoisonError;
use std::time::Duration;

use super::{Dialect, Failure, LONGEST_STATEMENT};
use crate::store::{Key, StoreError};
use crate::task::sync::runtime::Handle;
use crate::task::sync::{Instant, Mutex, MutexGuard, oneshot};
use crate::task::{background, quietly, timer};

/// How many lanes there are, that is, how many statements of one kind are under way at a time. With one lane, a
/// statement that waits for another process's row would delay every key. Each further lane makes the batches smaller.
const LANES: usize = 2;

/// How many requests one batch carries at most.
const MOST: usize = 500;

/// How many bytes of results one batch carries at most. A single result may be longer.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// A request that has had a lane for longer is stuck: it waits for a row that others have locked, or nobody polls its
/// future. A waiting request then takes the lane over.
const STUCK: Duration = Duration::from_secs(1);

/// A request for one key.
pub(in crate::store) trait Placed {
    /// The scope and the key.
    fn place(&self) -> (&str, &Key);

    /// How many bytes of result it carries.
    fn bytes(&self) -> usize {
        0
    }
}

/// One kind of request to one store.
pub(in crate::store) trait Work: Clone + Send + Sync + 'static {
    /// The request.
    type Request: Placed + Send + Sync + 'static;
    /// The answer.
    type Answer: Send + 'static;
    /// The database's errors.
    type Dialect: Dialect;

    /// The lanes and the queue for these requests.
    fn lanes(&self) -> &Lanes<Self::Request, Self::Answer>;

    /// Sends requests in one statement or transaction. Their keys differ, and they are in the order of scope and key.
    /// Returns an answer for each, in the same order. An answer is `None` if the request met another request for its
    /// key, and has to be sent again.
    fn send(
        &self,
        requests: &[&Self::Request],
    ) -> impl Future<Output = Result<Vec<Option<Self::Answer>>, Failure>> + Send;
}

/// How often a request that meets other requests for its key is sent.
const ROUNDS: usize = 16;

/// Carries out requests for different keys. Returns their answers in the same order.
async fn carry_out<W: Work>(work: &W, requests: &[W::Request], has_caller: bool) -> Vec<Result<W::Answer, StoreError>> {
    let mut answers: Vec<Option<Result<W::Answer, Failure>>> = requests.iter().map(|_| None).collect();
    let mut together = requests.len();
    for _ in 0..ROUNDS {
        let open: Vec<usize> = (0..requests.len()).filter(|nth| answers[*nth].is_none()).collect();
        if open.is_empty() {
            break;
        }
        for places in open.chunks(together) {
            let asked: Vec<&W::Request> = places.iter().map(|nth| &requests[*nth]).collect();
            match bounded(has_caller, work.send(&asked)).await {
                Ok(told) => {
                    for (place, answer) in places.iter().zip(told) {
                        answers[*place] = answer.map(Ok);
                    }
                }
                // The database refused the whole batch because of one request, so from here on each is sent alone.
                Err(failure) if failure.is_definite() && together > 1 => together = 1,
                Err(failure) => {
                    for place in places {
                        answers[*place] = Some(Err(failure.clone()));
                    }
                }
            }
        }
    }
    let finish = |answer: Option<Result<_, _>>| answer.unwrap_or(Err(Failure::Outrun));
    answers.into_iter().map(|answer| finish(answer).map_err(Failure::into_error::<W::Dialect>)).collect()
}

/// Bounds the time of a batch, which runs in no caller's future, so that no caller's deadline bounds it.
async fn bounded<T>(has_caller: bool, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    if has_caller {
        return work.await;
    }
    let answer = timer::within(|| LONGEST_STATEMENT, pin!(work)).await;
    answer.unwrap_or(Err(Failure::TimedOut(LONGEST_STATEMENT)))
}

/// The lanes that are taken, and the queue.
pub(in crate::store) struct Lanes<R, A>(Mutex<Queue<R, A>>);

struct Queue<R, A> {
    busy: Vec<Busy>,
    /// How often a lane was taken. It is the next lane's id.
    taken: u64,
    /// The queue. It is empty while a lane is free.
    waiting: Vec<Waiting<R, A>>,
}

/// A lane that is taken.
struct Busy {
    id: u64,
    since: Instant,
}

struct Waiting<R, A> {
    request: R,
    answer: oneshot::Sender<Result<A, StoreError>>,
}

impl<R, A> Default for Lanes<R, A> {
    fn default() -> Self {
        Self(Mutex::new(Queue { busy: Vec::with_capacity(LANES), taken: 0, waiting: Vec::new() }))
    }
}

impl<R: Placed, A> Lanes<R, A> {
    fn lock(&self) -> MutexGuard<'_, Queue<R, A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a free lane, or else puts the request into the queue.
    fn enter(&self, request: R) -> Result<(R, u64), oneshot::Receiver<Result<A, StoreError>>> {
        let mut queue = self.lock();
        if queue.busy.len() < LANES {
            return Ok((request, queue.take_lane()));
        }
        let (answer, answered) = oneshot::channel();
        queue.waiting.push(Waiting { request, answer });
        Err(answered)
    }

    /// The requests that this lane sends next. If there are none, the lane becomes free. A lane that was taken over
    /// gets none.
    fn next(&self, id: u64) -> Vec<Waiting<R, A>> {
        let mut queue = self.lock();
        let Some(lane) = queue.busy.iter().position(|busy| busy.id == id) else { return Vec::new() };
        // A caller that was dropped has released its key by another request.
        queue.waiting.retain(|waiting| !waiting.answer.is_closed());
        let batch = std::mem::take(&mut queue.waiting);
        let mut order: Vec<usize> = (0..batch.len()).collect();
        order.sort_by(|a, b| batch[*a].cmp_place(&batch[*b]));
        let mut is_first = vec![true; batch.len()];
        for pair in order.windows(2) {
            is_first[pair[1]] = batch[pair[0]].cmp_place(&batch[pair[1]]).is_ne();
        }
        let mut taken: Vec<Waiting<R, A>> = Vec::with_capacity(batch.len().min(MOST));
        let mut bytes = 0;
        // The oldest requests come first.
        for (waiting, is_first) in batch.into_iter().zip(is_first) {
            let more = bytes + waiting.request.bytes();
            if is_first && taken.len() < MOST && (taken.is_empty() || more <= MOST_BYTES) {
                bytes = more;
                taken.push(waiting);
            } else {
                queue.waiting.push(waiting);
            }
        }
        // All batches are in the same order, so that two batches with the same keys don't deadlock.
        taken.sort_by(Waiting::cmp_place);
        if taken.is_empty() {
            queue.busy.swap_remove(lane);
        } else {
            queue.busy[lane].since = Instant::now();
        }
        taken
    }

    /// Takes over a lane that is stuck, if there is one and requests wait.
    fn overtake(&self) -> Option<u64> {
        let mut queue = self.lock();
        if queue.waiting.is_empty() {
            return None;
        }
        let stuck = queue.busy.iter().position(|busy| busy.since.elapsed() >= STUCK)?;
        queue.busy.swap_remove(stuck);
        Some(queue.take_lane())
    }
}

impl<R, A> Queue<R, A> {
    fn take_lane(&mut self) -> u64 {
        let id = self.taken;
        self.taken += 1;
        self.busy.push(Busy { id, since: Instant::now() });
        id
    }
}

impl<R: Placed, A> Waiting<R, A> {
    fn cmp_place(&self, other: &Self) -> std::cmp::Ordering {
        let ((scope, key), (others_scope, others_key)) = (self.request.place(), other.request.place());
        (scope, key.as_bytes()).cmp(&(others_scope, others_key.as_bytes()))
    }
}

/// Carries out a request: at once and alone, or in a batch with the other waiting requests.
pub(in crate::store) async fn submit<W: Work>(work: &W, request: W::Request) -> Result<W::Answer, StoreError> {
    let answer = match work.lanes().enter(request) {
        Ok((request, id)) => {
            let _lane = Lane { work: work.clone(), id };
            carry_out(work, &[request], true).await.pop()
        }
        Err(mut answered) => loop {
            if let Some(answer) = timer::within(|| STUCK, Pin::new(&mut answered)).await {
                break answer.ok();
            }
            drop(work.lanes().overtake().map(|id| Lane { work: work.clone(), id }));
        },
    };
    answer.unwrap_or_else(|| {
        let ended = "the runtime that carried out the request has ended";
        Err(StoreError::unanswered("the store", ended).in_own_words())
    })
}

/// A lane that is being used; whoever leaves it, in whatever way, hands it on.
struct Lane<W: Work> {
    work: W,
    id: u64,
}

impl<W: Work> Drop for Lane<W> {
    fn drop(&mut self) {
        let batch = self.work.lanes().next(self.id);
        if batch.is_empty() {
            return;
        }
        let lane = Self { work: self.work.clone(), id: self.id };
        let served = async move {
            let (requests, answers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.request, waiting.answer)).unzip();
            for (answer, caller) in carry_out(&lane.work, &requests, false).await.into_iter().zip(answers) {
                // The caller may have been dropped.
                quietly(|| drop(caller.send(answer)));
            }
        };
        background::run(Handle::try_current().ok().as_ref(), served);
    }
}
