//! Errors of many kinds in one type: the library's is looked for in the whole chain of their sources.

use std::error::Error as StdError;
use std::iter::successors;
use std::sync::Arc;

use super::Refusal;
use crate::error::{DecodeError, Error, NeedsAHuman, StoreError};

type Cause = dyn StdError + 'static;

fn chain(outermost: &Cause) -> impl Iterator<Item = &Cause> {
    successors(Some(outermost), |error| (**error).source())
}

/// The outermost error of the library.
fn refusal(outermost: &Cause) -> Option<&Error> {
    chain(outermost).find_map(|error| {
        let boxed = || error.downcast_ref::<Box<Error>>().map(|error| &**error);
        let shared = || error.downcast_ref::<Arc<Error>>().map(|error| &**error);
        error.downcast_ref().or_else(boxed).or_else(shared)
    })
}

/// Whether the chain holds what lies behind an error of the library that no redelivery can help. Of an error that is hidden by
/// the one around it, this is all that there is to see.
fn is_final(outermost: &Cause) -> bool {
    chain(outermost).any(|error| {
        // Its source is none where keys are hidden.
        let said = || error.downcast_ref::<StoreError>().is_some_and(|error| error.get_ref().is::<NeedsAHuman>());
        error.is::<NeedsAHuman>() || error.is::<DecodeError>() || said()
    })
}

/// See [the errors of many kinds](crate::consumer#errors-of-many-kinds).
impl Refusal for Box<dyn StdError + Send + Sync> {
    fn refusal(&self) -> Option<&Error> {
        refusal(&**self)
    }

    fn is_final(&self) -> bool {
        is_final(&**self)
    }
}

/// See [the errors of many kinds](crate::consumer#errors-of-many-kinds).
impl Refusal for Box<dyn StdError> {
    fn refusal(&self) -> Option<&Error> {
        refusal(&**self)
    }

    fn is_final(&self) -> bool {
        is_final(&**self)
    }
}

/// Finds what was given as a context too. See [the errors of many kinds](crate::consumer#errors-of-many-kinds).
#[cfg(feature = "anyhow")]
impl Refusal for anyhow::Error {
    fn refusal(&self) -> Option<&Error> {
        // The chain leaves out the contexts themselves, and the box that this was made of.
        let boxed = || self.downcast_ref::<Box<dyn StdError + Send + Sync>>()?.refusal();
        self.downcast_ref().or_else(boxed).or_else(|| refusal(&**self))
    }

    fn is_final(&self) -> bool {
        is_final(&**self)
    }
}

/// Finds what was given as a context too. See [the errors of many kinds](crate::consumer#errors-of-many-kinds).
#[cfg(feature = "eyre")]
impl Refusal for eyre::Report {
    fn refusal(&self) -> Option<&Error> {
        // The chain leaves out the contexts themselves.
        self.downcast_ref().or_else(|| refusal(&**self))
    }

    fn is_final(&self) -> bool {
        is_final(&**self)
    }
}
