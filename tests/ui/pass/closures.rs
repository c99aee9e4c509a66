//! `on_crash` as a closure: its types are inferred.

use idem_runtime::{Claim, Error, idempotent};

#[idempotent(key = "id", on_crash = async |_: &Claim| Ok(None))]
async fn annotated(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[idempotent(key = "id", on_crash = async |claim| Ok(Some(claim.fence())))]
async fn inferred(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[idempotent(key = "id", on_crash = |_: &Claim| async { Ok(Some(1)) })]
async fn returns_a_future(id: u64) -> Result<u64, Error> {
    Ok(id)
}

struct Ledger(u64);

impl Ledger {
    async fn find(&self, claim: &Claim) -> Result<Option<u64>, Error> {
        Ok((!claim.key().is_empty()).then_some(self.0))
    }

    #[idempotent(key = "id", scope = "ledger", on_crash = async |claim| self.find(claim).await)]
    async fn handle(&self, id: u64) -> Result<u64, Error> {
        Ok(self.0 + id)
    }
}

#[test]
fn runs() {
    drop(annotated(1));
    drop(inferred(1));
    drop(returns_a_future(1));
    drop(Ledger(1).handle(1));
}
