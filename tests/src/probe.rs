//! A store that counts the requests that it gets, and fails as a test tells it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, IdempotencyAdmin, IdempotencyStore, Leave, ReleaseRequest,
    RenewRequest, Standing, WaitRequest,
};
use idem_runtime::{MemoryStore, StoreError};
use tokio::sync::watch;

/// A kind of request to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A claim.
    Claim,
    /// A renewal.
    Renew,
    /// A completion.
    Complete,
    /// A release, and the way in which the key is left.
    Release(Leave),
}

/// What the store does with a request in place of answering it.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Doesn't carry it out, and gives no answer.
    RequestLost,
    /// Carries it out, and gives no answer.
    AnswerLost,
    /// Refuses it.
    Refused,
    /// Carries it out, and answers after this time.
    Slow(Duration),
    /// Carries it out, and never answers, so that the caller waits for ever.
    Hangs,
    /// Doesn't carry out the request of a holder, and gives this answer.
    Says(Standing),
    /// Panics.
    Panics,
}

/// A memory store whose requests fail as a script says.
#[derive(Clone, Debug)]
pub struct Probe {
    inner: MemoryStore,
    script: Arc<Mutex<VecDeque<(Asked, Fault)>>>,
    always: Arc<Mutex<Option<(Asked, Fault)>>>,
    asked: watch::Sender<Vec<Asked>>,
    needs_runtime: bool,
    max_record_len: usize,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            inner: MemoryStore::new(),
            script: Arc::default(),
            always: Arc::default(),
            asked: watch::Sender::new(Vec::new()),
            needs_runtime: false,
            max_record_len: 4096,
        }
    }
}

impl Probe {
    /// A store without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store whose `needs_runtime` is true.
    pub fn on_runtime() -> Self {
        Self { needs_runtime: true, ..Self::default() }
    }

    /// A store that takes records of at most so many bytes.
    pub fn taking(max_record_len: usize) -> Self {
        Self { max_record_len, ..Self::default() }
    }

    /// Adds a fault to the script: it strikes the next request of this kind that has none yet.
    pub fn fail(&self, asked: Asked, fault: Fault) -> &Self {
        self.script.lock().unwrap().push_back((asked, fault));
        self
    }

    /// From now on, each request of this kind fails in this way, until [`recover`](Self::recover).
    pub fn fail_always(&self, asked: Asked, fault: Fault) -> &Self {
        *self.always.lock().unwrap() = Some((asked, fault));
        self
    }

    /// Ends [`fail_always`](Self::fail_always).
    pub fn recover(&self) {
        *self.always.lock().unwrap() = None;
    }

    /// The requests that the store got so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// How many requests of this kind it got.
    pub fn count(&self, asked: Asked) -> usize {
        self.asked.borrow().iter().filter(|&&other| other == asked).count()
    }

    /// Forgets the requests that it got.
    pub fn reset(&self) {
        self.asked.send_modify(Vec::clear);
    }

    /// Waits until it has got so many requests of this kind.
    pub async fn until(&self, asked: Asked, times: usize) {
        let enough = |all: &Vec<Asked>| all.iter().filter(|&&other| other == asked).count() >= times;
        tokio::time::timeout(Duration::from_secs(10), self.asked.subscribe().wait_for(enough))
            .await
            .unwrap_or_else(|_| panic!("not asked {asked:?} {times} times, but {:?}", self.asked()))
            .unwrap();
    }

    /// The store behind the script.
    pub fn inner(&self) -> &MemoryStore {
        &self.inner
    }

    async fn ask<T>(
        &self,
        asked: Asked,
        request: impl Future<Output = Result<T, StoreError>>,
        scripted: impl FnOnce(Standing) -> Option<T>,
    ) -> Result<T, StoreError> {
        let fault = {
            let mut script = self.script.lock().unwrap();
            let at = script.iter().position(|(which, _)| *which == asked);
            let always = self.always.lock().unwrap().filter(|(which, _)| *which == asked);
            at.and_then(|at| script.remove(at)).or(always).map(|(_, fault)| fault)
        };
        let unanswered = || Err(StoreError::unanswered("the probe", format!("{asked:?}: the line is dead")));
        let answer = match fault {
            None => request.await,
            Some(Fault::RequestLost) => unanswered(),
            Some(Fault::AnswerLost) => {
                request.await?;
                unanswered()
            }
            Some(Fault::Refused) => Err(StoreError::refused("the probe", format!("{asked:?}: no"))),
            Some(Fault::Slow(delay)) => {
                let answer = request.await;
                self.asked.send_modify(|all| all.push(asked));
                tokio::time::sleep(delay).await;
                return answer;
            }
            Some(Fault::Hangs) => {
                request.await?;
                self.asked.send_modify(|all| all.push(asked));
                std::future::pending().await
            }
            Some(Fault::Says(standing)) => scripted(standing).map_or_else(unanswered, Ok),
            Some(Fault::Panics) => panic!("as the store was told"),
        };
        self.asked.send_modify(|all| all.push(asked));
        answer
    }
}

impl IdempotencyStore for Probe {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        self.ask(Asked::Claim, self.inner.claim(request), |_| None).await
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        self.ask(Asked::Renew, self.inner.renew(request), Some).await
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        self.ask(Asked::Complete, self.inner.complete(request), Some).await
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        self.ask(Asked::Release(request.how), self.inner.release(request), Some).await
    }

    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        self.inner.wait(request).await
    }

    fn max_record_len(&self) -> usize {
        self.max_record_len
    }

    fn needs_runtime(&self) -> bool {
        self.needs_runtime
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        self.inner.admin()
    }
}
