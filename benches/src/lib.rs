//! What the benchmarks share: the handler that is measured, the peers, and how they are measured.

pub mod alloc;
pub mod handler;
pub mod load;
pub mod peers;
pub mod rounds;
pub mod sql;

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;
