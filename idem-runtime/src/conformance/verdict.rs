//! How a case ends, and the functions that compare an answer with the expected one.

use std::fmt::{self, Debug, Display};

use crate::error::StoreError;
use crate::protocol::{Record, Standing};

/// How a case ends.
pub(super) type Verdict<T = ()> = Result<T, Stop>;

/// Why a case ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The case doesn't apply to this store.
    Skipped,
    /// The store broke a rule.
    Failed(Mismatch),
}

/// What broke a rule.
#[derive(Clone, Debug)]
pub(super) struct Mismatch {
    pub(super) step: String,
    pub(super) expected: String,
    pub(super) answered: String,
}

/// Stops a case because the store didn't answer as expected.
pub(super) fn failed(step: impl Display, expected: impl Display, answered: impl Debug) -> Stop {
    let answered = format!("{answered:?}");
    Stop::Failed(Mismatch { step: step.to_string(), expected: expected.to_string(), answered })
}

/// Fails if `answered` isn't `wanted`.
#[allow(clippy::needless_pass_by_value, reason = "what is wanted is mostly written in place")]
pub(super) fn equal<T: Debug + PartialEq>(step: impl Display, answered: T, wanted: T) -> Verdict {
    if answered == wanted { Ok(()) } else { Err(failed(step, format!("{wanted:?}"), answered)) }
}

/// Fails if the standing isn't `wanted`. A store that can't tell may answer `Lost` for `Gone`.
pub(super) fn stands(step: impl Display, answered: Standing, wanted: Standing) -> Verdict {
    if stands_for(answered, wanted) { Ok(()) } else { equal(step, answered, wanted) }
}

/// Whether a store may give this answer if the state machine says `wanted`.
pub(super) fn stands_for(answered: Standing, wanted: Standing) -> bool {
    answered == wanted || (answered, wanted) == (Standing::Lost, Standing::Gone)
}

/// Fails if `holds` is false.
pub(super) fn ensure(holds: bool, step: impl Display, expected: impl Display, answered: impl Debug) -> Verdict {
    if holds { Ok(()) } else { Err(failed(step, expected, answered)) }
}

/// Text that is shown without quotes.
pub(super) struct Plain<T>(pub(super) T);

impl<T: Display> Debug for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The store's answer. Fails if the store returned an error.
pub(super) fn answer<T>(step: impl Display, answer: Result<T, StoreError>) -> Verdict<T> {
    answer.map_err(|error| failed(step, "an answer", Plain(error)))
}

/// Fails if the bytes differ. The message says at which byte, and doesn't hold the records, which may be long.
pub(super) fn same_record(step: impl Display, found: &Record, wanted: &Record) -> Verdict {
    let (found, wanted) = (found.as_bytes(), wanted.as_bytes());
    if found == wanted {
        return Ok(());
    }
    let at = found.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    let answered = format!("{} bytes that differ from byte {at} on", found.len());
    Err(failed(step, format!("the {} bytes that were recorded", wanted.len()), Plain(answered)))
}
