//! The claim, as the handler sees it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use crate::protocol::{Grant, Key, Owner, Previous};

/// The claim under which a handler runs. `claim = c` in the attribute gives the body a variable `c` of type `&Claim`.
///
/// ```
/// # use idem_runtime::{Error, idempotent};
/// # async fn charge_card(idempotency_key: &str, cents: u64) -> Result<(), Error> { Ok(()) }
/// #[idempotent(key = "order_id", claim = c)]
/// async fn charge(order_id: &str, cents: u64) -> Result<(), Error> {
///     // Each time this order is handled, the derived key is the same, so the provider recognises a repeat.
///     charge_card(&c.derive("charge-card"), cents).await
/// }
/// ```
#[derive(Clone)]
pub struct Claim {
    scope: &'static str,
    /// Empty if the call has no key (`missing_key = "run"`).
    key: Key,
    owner: Owner,
    grant: Grant,
    /// Its clones say the same.
    skipped: Arc<AtomicBool>,
}

impl Claim {
    pub(crate) fn granted(scope: &'static str, key: Key, owner: Owner, grant: Grant) -> Self {
        Self { scope, key, owner, grant, skipped: Arc::default() }
    }

    /// The claim of a call that runs without protection.
    pub(crate) fn unprotected(scope: &'static str, key: Option<Key>) -> Self {
        let grant = Grant { fence: 0, attempt: 1, previous: Previous::First };
        Self::granted(scope, key.unwrap_or_else(Key::empty), Owner::random(), grant)
    }

    /// The fencing token. For one key, each later claim has a higher one. So a downstream service that keeps the
    /// highest one that it has seen can refuse a holder that has lost its lease. It is 0 if the call runs without
    /// protection.
    pub fn fence(&self) -> u64 {
        self.grant.fence
    }

    /// How many times the handler was started for this key, this time included. Earlier times that did nothing
    /// ([`skip`](Self::skip)) aren't counted.
    pub fn attempt(&self) -> u32 {
        self.grant.attempt
    }

    /// What the store knows about the key's last holder.
    pub fn previous(&self) -> Previous {
        self.grant.previous
    }

    /// The key. It is empty if the call has none (`missing_key = "run"`).
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The namespace of the key.
    pub fn scope(&self) -> &str {
        self.scope
    }

    /// Says that the body did nothing: the message is not for this handler, or its time has not come. What the body then
    /// returns with `Ok` is handed to the caller and not recorded. The key is left as after an
    /// [`Outcome::Skipped`](crate::Outcome::Skipped), which says the same by the return type. If the body returns an `Err`,
    /// that is a failure as ever, and a body that panics or is cancelled leaves its outcome unknown as ever.
    ///
    /// It can't be taken back. In a function of `on_crash` it says nothing: that one returns `None`.
    ///
    /// ```
    /// # use idem_runtime::{Error, idempotent};
    /// #[idempotent(key = "order_id", claim = c)]
    /// async fn ship(order_id: &str, warehouse: &str) -> Result<u32, Error> {
    ///     if warehouse != "Leipzig" {
    ///         c.skip(); // another service ships it
    ///         return Ok(0);
    ///     }
    ///     Ok(1)
    /// }
    /// ```
    pub fn skip(&self) {
        self.skipped.store(true, Ordering::Release);
    }

    /// A stable key for a downstream call. It is the same in each run of this key, and differs for another key, scope
    /// or label. Give it to a payment provider as its idempotency key, and the provider recognises a repeat.
    ///
    /// It has 36 characters, in the form of a UUID of version 8 (RFC 9562, section 5.8): 122 bits of SHA-256 over the
    /// scope, the key and the label. In a call without a key it is random, and so differs from call to call.
    pub fn derive(&self, label: &str) -> String {
        let mut hash = Sha256::new();
        let key = if self.key.is_empty() { &self.owner.0[..] } else { self.key.as_bytes() };
        for part in [self.scope.as_bytes(), key, label.as_bytes()] {
            // The length is hashed before the part. Without it, `("ab", "c")` and `("a", "bc")` would have the same
            // hash.
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut bits = [0; 16];
        bits.copy_from_slice(&digest[..16]);
        let bits = u128::from_be_bytes(bits);
        let (version, variant) = (8 << 76, 2 << 62);
        let bits = bits & !(0xf << 76) & !(3 << 62) | version | variant;
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("scope", &self.scope).field("key", &self.key).field("grant", &self.grant).finish()
    }
}

/// Where the body finds its claim. The body's future is built before the key is claimed, because it must not be moved
/// after that. So the claim is put here later.
#[derive(Debug)]
pub struct ClaimSlot {
    scope: &'static str,
    claim: OnceLock<Claim>,
}

impl ClaimSlot {
    /// An empty slot.
    pub const fn new(site: &'static crate::handler::Site) -> Self {
        Self { scope: site.scope, claim: OnceLock::new() }
    }

    pub(crate) fn set(&self, claim: Claim) {
        // It is set once, before the body starts.
        drop(self.claim.set(claim));
    }

    /// Whether the body said that it did nothing.
    pub(crate) fn is_skipped(&self) -> bool {
        self.claim.get().is_some_and(|claim| claim.skipped.load(Ordering::Acquire))
    }

    /// The claim, for the body.
    pub fn get(&self) -> &Claim {
        self.claim.get_or_init(|| Claim::unprotected(self.scope, None))
    }
}
