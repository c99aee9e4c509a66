//! The same handler, protected by everyone.

mod by_hand;
mod libraries;
mod ours;

pub use by_hand::{Dash, Moka, MokaAsync, Sharded, ShardedLeases};
pub use libraries::{Cached, CachedConcurrent, Idempotent};
pub use ours::{Erased, Ours};

use crate::handler::{Async, Protected, Receipt, Refused, Sync_, charge};

/// Not protected at all: what the loop and the body cost.
#[derive(Clone)]
pub struct Bare;

impl Protected for Bare {
    fn fresh() -> Self {
        Self
    }
}

impl Async for Bare {
    async fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        charge(order_id)
    }
}

impl Sync_ for Bare {
    fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        charge(order_id)
    }
}
