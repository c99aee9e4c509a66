//! What a handler can know of its own claim.

use std::fmt;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::protocol::{Grant, Key, Owner, Previous};

/// The claim under which a handler runs: `claim = c` in the attribute binds a `&Claim` named `c` in the body.
///
/// ```
/// # use idem_runtime::{Error, idempotent};
/// # async fn charge_card(idempotency_key: &str, cents: u64) -> Result<(), Error> { Ok(()) }
/// #[idempotent(key = "order_id", claim = c)]
/// async fn charge(order_id: &str, cents: u64) -> Result<(), Error> {
///     // The same key whenever this order is handled again, so that the provider recognises a repeat.
///     charge_card(&c.derive("charge-card"), cents).await
/// }
/// ```
#[derive(Clone)]
pub struct Claim {
    scope: &'static str,
    /// Empty where the attribute allows a call without a key.
    key: Key,
    owner: Owner,
    grant: Grant,
}

impl Claim {
    pub(crate) fn granted(scope: &'static str, key: Key, owner: Owner, grant: Grant) -> Self {
        Self { scope, key, owner, grant }
    }

    /// Of a call that runs without protection.
    pub(crate) fn unprotected(scope: &'static str, key: Option<Key>) -> Self {
        let grant = Grant { fence: 0, attempt: 1, previous: Previous::First };
        Self { scope, key: key.unwrap_or_else(Key::empty), owner: Owner::random(), grant }
    }

    /// The fencing token: of one key, later claims have higher ones. A downstream that keeps the highest it has seen
    /// can refuse a holder that has lost its lease. 0 where the call runs without protection.
    pub fn fence(&self) -> u64 {
        self.grant.fence
    }

    /// How many times the handler has been started for this key, this time included.
    pub fn attempt(&self) -> u32 {
        self.grant.attempt
    }

    /// What is known of the key's last holder.
    pub fn previous(&self) -> Previous {
        self.grant.previous
    }

    /// The key; empty where the call runs without one (`missing_key = "run"`).
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The namespace of the key.
    pub fn scope(&self) -> &str {
        self.scope
    }

    /// A stable key for a downstream call: the same for each run of this key under this label, and different for any
    /// other key, scope or label. A payment provider that is given it as its idempotency key recognises a repeat.
    ///
    /// 36 characters in the form of a UUID of version 8 (RFC 9562, section 5.8), which every provider takes: 122 bits
    /// of SHA-256 over the scope, the key and the label. A call without a key gets another one each time.
    pub fn derive(&self, label: &str) -> String {
        let mut hash = Sha256::new();
        let key = if self.key.is_empty() { &self.owner.0[..] } else { self.key.as_bytes() };
        for part in [self.scope.as_bytes(), key, label.as_bytes()] {
            // The length goes first, so that no two triples run together.
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

/// Where a body finds its claim: the body is built before the key is claimed, so that its future is not moved.
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
        // Set once: before the body is started, or before a reconcile function is.
        drop(self.claim.set(claim));
    }

    /// The claim, in the body.
    pub fn get(&self) -> &Claim {
        self.claim.get_or_init(|| Claim::unprotected(self.scope, None))
    }
}
