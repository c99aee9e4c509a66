//! R12 to R17: endings.

mod crashes;
mod errors;
mod results;
mod skips;
mod stores;

use idem_runtime::{Claim, Previous};
use serde::{Deserialize, Serialize};

/// How the previous holder of the key ended, as the body is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Before {
    Nobody,
    Failed,
    Crashed,
}

fn before(claim: &Claim) -> Before {
    match claim.previous() {
        Previous::First => Before::Nobody,
        Previous::AfterFailure => Before::Failed,
        Previous::AfterCrash { .. } => Before::Crashed,
    }
}
