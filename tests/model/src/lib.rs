//! The claim protocol as a model that is checked exhaustively: every order of every request, answer and fault within a
//! budget. README.md says what it covers.

mod caller;
mod faults;
mod model;
mod setup;
mod state;
mod store;

pub mod runs;

pub use self::model::{Action, COMPLETES, IS_RECORDED_LATE, IS_REPLACED, IS_TAKEN_OVER, Protocol, RUNS_TWICE};
pub use self::setup::{Budget, Policy, Rules, Setup};
pub use self::state::{Broken, State};
