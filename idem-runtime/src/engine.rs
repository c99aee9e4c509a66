//! Claim, run, record.
use crate::fingerprint::FingerprintInput;
use crate::handle::ClaimSlot;
use crate::key::KeyInput;
use crate::policy::{ErrorPolicy, Reconcile};
use crate::private::Ops;
use crate::site::Site;
use crate::store::IdempotencyStore;
use std::marker::PhantomData;
use std::pin::Pin;

/// One call.
pub struct Call<'c, S: IdempotencyStore>(Option<S>, PhantomData<&'c ()>);
impl<'c, S: IdempotencyStore> Call<'c, S> {
    /// A call.
    pub fn new(
        _site: &'static Site,
        store: Option<S>,
        _key: KeyInput,
        _fingerprint: FingerprintInput,
        _slot: Option<&'c ClaimSlot>,
    ) -> Self {
        Self(store, PhantomData)
    }
}
/// Run.
pub async fn run<S, B, O, V, E, P, C>(
    _call: &mut Call<'_, S>,
    body: Pin<&mut B>,
    _ops: Ops<O, V, E>,
    _on_error: P,
    _on_crash: C,
) -> O
where
    S: IdempotencyStore,
    B: Future<Output = O>,
    P: ErrorPolicy<E>,
    C: Reconcile<V, E>,
{
    body.await
}
/// Run sync.
pub fn run_blocking<S, B, O, V, E, P>(_call: &mut Call<'_, S>, body: B, _ops: Ops<O, V, E>, _on_error: P) -> O
where
    S: IdempotencyStore,
    B: FnOnce() -> O,
    P: ErrorPolicy<E>,
{
    body()
}
