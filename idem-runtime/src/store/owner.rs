//! Drawing random owners.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::protocol::Owner;

/// How many owners one system call draws.
const POOL: usize = 32;

/// Counts the stores that this process opened. A pool of owners is used only until the next store is opened. The reason
/// is `fork`: a child process has a copy of its parent's pools, and would draw the same owners. But the threads of the
/// parent's store don't exist in the child, so the child has to open a store of its own before it can claim a key in a
/// shared file.
static OPENED: AtomicU64 = AtomicU64::new(1);

struct Pool {
    bytes: [u8; 16 * POOL],
    used: usize,
    opened: u64,
}

thread_local! {
    static POOLED: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; 16 * POOL], used: POOL, opened: 0 }) };
}

/// Called when a store is opened that other processes may share. Owners of older pools are not used any more.
#[cfg(feature = "sqlite")]
pub(crate) fn store_opened() {
    OPENED.fetch_add(1, Ordering::Relaxed);
}

impl Owner {
    /// 128 bits from the operating system's generator. One system call.
    pub fn random() -> Self {
        let mut owner = [0; 16];
        if getrandom::fill(&mut owner).is_ok() { Self(owner) } else { Self::improvised() }
    }

    /// The same, with one system call for many owners. Only for a store that can't be used after a fork until it is
    /// opened again.
    pub(crate) fn pooled() -> Self {
        let opened = OPENED.load(Ordering::Relaxed);
        POOLED.with_borrow_mut(|pool| {
            if pool.used == POOL || pool.opened != opened {
                if getrandom::fill(&mut pool.bytes).is_err() {
                    return Self::improvised();
                }
                pool.used = 0;
                pool.opened = opened;
            }
            let mut owner = [0; 16];
            owner.copy_from_slice(&pool.bytes[16 * pool.used..16 * (pool.used + 1)]);
            pool.used += 1;
            Self(owner)
        })
    }

    /// Used if the operating system's generator fails: the keys of the standard library's hasher come from another
    /// source.
    #[cold]
    fn improvised() -> Self {
        use std::hash::{BuildHasher, RandomState};
        let half = || RandomState::new().hash_one((std::time::SystemTime::now(), std::process::id())).to_be_bytes();
        let mut owner = [0; 16];
        owner[..8].copy_from_slice(&half());
        owner[8..].copy_from_slice(&half());
        Self(owner)
    }
}
