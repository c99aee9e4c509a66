//! An annotated handler: its place and settings, its return type, its policies for failures, its view of the claim, the
//! events of its calls, and what a consumer does with their results.
//!
//! Of the other rooms of this crate, this one may import `protocol`, `codec`, `task`, `error` and `store` (ARCHITECTURE.md,
//! "Floors").

mod claim;
pub mod consumer;
mod ended;
mod event;
mod observe;
pub(crate) mod ops;
pub mod output;
pub(crate) mod policy;
pub(crate) mod recording;
mod site;

pub use self::claim::{Claim, ClaimSlot};
pub(crate) use self::ended::Watch;
pub(crate) use self::event::Event;
pub use self::ops::Ops;
pub(crate) use self::ops::Returned;
pub use self::site::Site;
