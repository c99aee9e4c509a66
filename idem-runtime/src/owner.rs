//! Drawing owners.

use std::cell::RefCell;

use crate::claim::Owner;

/// How many owners one system call pays for.
const POOL: usize = 32;

struct Pool {
    bytes: [u8; 16 * POOL],
    used: usize,
}

thread_local! {
    static OWNERS: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; 16 * POOL], used: POOL }) };
}

impl Owner {
    /// 128 bits from the operating system's generator.
    pub fn random() -> Self {
        OWNERS.with_borrow_mut(|pool| {
            if pool.used == POOL {
                if getrandom::fill(&mut pool.bytes).is_err() {
                    return Self::improvised();
                }
                pool.used = 0;
            }
            let mut owner = [0; 16];
            owner.copy_from_slice(&pool.bytes[16 * pool.used..16 * (pool.used + 1)]);
            pool.used += 1;
            Self(owner)
        })
    }

    /// Where the system has no generator: the standard library's hasher keys are drawn by other means.
    #[cold]
    fn improvised() -> Self {
        use std::hash::{BuildHasher, RandomState};
        let half = || RandomState::new().hash_one(std::time::Instant::now().elapsed()).to_be_bytes();
        let mut owner = [0; 16];
        owner[..8].copy_from_slice(&half());
        owner[8..].copy_from_slice(&half());
        Self(owner)
    }
}
