//! A store that writes each request and each answer into the history.

use std::sync::Arc;

use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, IdempotencyAdmin, Key, Owner, Previous, ReleaseRequest, RenewRequest,
    Standing, StoreError, WaitRequest,
};
use idem_runtime::{AnyStore, IdempotencyStore};

use crate::history::{History, Kind, now};
use crate::pool::Pool;

#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) store: AnyStore,
    /// The user's pool, which handlers use too.
    pub(crate) pool: Option<Pool>,
    pub(crate) history: History,
}

impl Recorder {
    fn unanswered<T>(&self, key: &Key, answer: &Result<T, StoreError>) {
        if let Err(error) = answer {
            self.history.line(Kind::Unanswered, key, 0, error);
        }
    }

    /// Writes the answer to a holder's request into the history.
    fn hears(&self, (key, fence): (&Key, u64), answer: &Result<Standing, StoreError>, kind: Kind, rest: &str) {
        match answer {
            Ok(Standing::Held) => self.history.line(kind, key, fence, &rest),
            Ok(_) => self.history.line(Kind::Refused, key, fence, &format!("{kind:?} {rest}")),
            Err(_) => self.unanswered(key, answer),
        }
    }
}

fn hex(owner: Owner) -> String {
    format!("{:032x}", u128::from_be_bytes(owner.0))
}

impl IdempotencyStore for Recorder {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let answer = self.store.claim(request).await;
        if let Ok(ClaimAnswer::Acquired(grant)) = &answer {
            let died = match grant.previous {
                Previous::AfterCrash { fence } => fence,
                _ => 0,
            };
            let rest = format!("{} {died}", hex(request.owner));
            self.history.line(Kind::Granted, request.key, grant.fence, &rest);
        }
        self.unanswered(request.key, &answer);
        answer
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        let sent = now();
        let answer = self.store.renew(request).await;
        self.hears((request.key, request.fence), &answer, Kind::Renewed, &sent.to_string());
        answer
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        self.history.line(Kind::Completing, request.key, request.fence, &"-");
        let answer = self.store.complete(request).await;
        self.hears((request.key, request.fence), &answer, Kind::Completed, "-");
        answer
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        let how = format!("{:?}", request.how);
        let rest = format!("{} {how}", hex(request.owner));
        self.history.line(Kind::Releasing, request.key, request.fence, &rest);
        let answer = self.store.release(request).await;
        self.hears((request.key, request.fence), &answer, Kind::Released, &how);
        answer
    }

    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        self.store.wait(request).await
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        self.store.admin()
    }
}
