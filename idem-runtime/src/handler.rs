//! What an annotated handler is: where it stands and with which settings, what it returns, what it does about failures, what
//! it sees of its claim, what is told of its calls, and what a consumer does with their results.

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
pub use self::site::Site;
