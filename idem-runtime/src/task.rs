//! Running things beside the caller: the background thread, timers, blocking a thread on a future, and waiting for the
//! endings that are left when a process ends.
//!
//! Of the other rooms of this crate, this one may import only `protocol` and `codec`, and needs neither (ARCHITECTURE.md,
//! "Floors").

pub(crate) mod background;
pub(crate) mod block_on;
pub(crate) mod drain;
mod endings;
mod quiet;
pub(crate) mod sync;
pub(crate) mod timer;

pub(crate) use self::quiet::quietly;
