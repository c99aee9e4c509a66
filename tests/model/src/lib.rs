//! The claim protocol as a model that is checked exhaustively: every order of every request, answer and fault within a
//! budget, over the function that the stores call. README.md says what it covers.

mod caller;
mod model;
mod setup;
mod state;
mod store;
mod story;
mod tidy;
mod truth;
mod tx;
mod world;

pub mod pending;
pub mod runs;

pub use self::model::{Action, COMPLETES, IS_RECORDED_LATE, IS_TAKEN_OVER, Protocol, RUNS_TWICE, Word};
pub use self::setup::{Fault, LEASE, LINGER, Policy, Rule, STEP_BACK, Setup, TTL, Unknown};
pub use self::state::{Call, How, Request, State};
pub use self::truth::{Broken, Flags};
pub use self::tx::TxEnd;
