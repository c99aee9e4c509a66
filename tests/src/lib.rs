//! Shared helpers of the tests.

pub mod rng;
pub mod vfs;
