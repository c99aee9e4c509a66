//! Drawing owners.

use std::cell::RefCell;

use crate::claim::Owner;

/// How many owners one system call pays for.
const POOL: usize = 32;

struct Pool {
    bytes: [u8; 16 * POOL],
    used: usize,
    /// Whose pool it is: a process that is forked off must not draw the owners that its parent draws.
    process: u32,
}

thread_local! {
    static OWNERS: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; 16 * POOL], used: POOL, process: 0 }) };
}

impl Owner {
    /// 128 bits from the operating system's generator.
    pub fn random() -> Self {
        OWNERS.with_borrow_mut(|pool| {
            let process = std::process::id();
            if pool.used == POOL || pool.process != process {
                if getrandom::fill(&mut pool.bytes).is_err() {
                    return Self::improvised();
                }
                pool.used = 0;
                pool.process = process;
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
        let half = || RandomState::new().hash_one((std::time::SystemTime::now(), std::process::id())).to_be_bytes();
        let mut owner = [0; 16];
        owner[..8].copy_from_slice(&half());
        owner[8..].copy_from_slice(&half());
        Self(owner)
    }
}
