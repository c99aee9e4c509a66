//! Running things beside the caller: the one background thread, its timers, threads that wait, and what is left to be settled
//! when a process ends.

pub(crate) mod background;
pub(crate) mod block_on;
pub(crate) mod drain;
mod endings;
mod quiet;
pub(crate) mod timer;

pub(crate) use self::quiet::quietly;
