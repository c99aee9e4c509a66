//! Boxed and dynamic errors: finds this library's error in the chain of their sources.

use std::error::Error as StdError;
use std::iter::successors;
use std::sync::Arc;

use super::Refusal;
use crate::error::{DecodeError, Error, NeedsAHuman, StoreError};

type Cause = dyn StdError + 'static;

fn chain(outermost: &Cause) -> impl Iterator<Item = &Cause> {
    successors(Some(outermost), |error| (**error).source())
}

/// The outermost error of this library in the chain.
fn refusal(outermost: &Cause) -> Option<&Error> {
    chain(outermost).find_map(|error| {
        let boxed = || error.downcast_ref::<Box<Error>>().map(|error| &**error);
        let shared = || error.downcast_ref::<Arc<Error>>().map(|error| &**error);
        error.downcast_ref().or_else(boxed).or_else(shared)
    })
}

/// Whether the chain holds the source of an error of this library that no redelivery can help. If another type hides
/// the error itself, its source is all that can be found.
fn is_final(outermost: &Cause) -> bool {
    chain(outermost).any(|error| {
        // `StoreError::source` is `None` where keys are hidden.
        let said = || error.downcast_ref::<StoreError>().is_some_and(|error| error.get_ref().is::<NeedsAHuman>());
        error.is::<NeedsAHuman>() || error.is::<DecodeError>() || said()
    })
}

/// See [boxed and dynamic errors](crate::consumer#boxed-and-dynamic-errors).
impl Refusal for Box<dyn StdError + Send + Sync> {
    fn refusal(&self) -> Option<&Error> {
        refusal(&**self)
    }

    fn is_final(&self) -> bool {
        is_final(&**self)
    }
}

/// See [boxed and dynamic errors](crate::consumer#boxed-and-dynamic-errors).
impl Refusal for Box<dyn StdError> {
    fn refusal(&self) -> Option<&Error> {
        refusal(&**self)
    }

    fn is_final(&self) -> bool {
        is_final(&**self)
    }
}

/// Also finds an error that was given as a context. See [boxed and dynamic errors](crate::consumer#boxed-and-dynamic-errors).
#[cfg(feature = "anyhow")]
impl Refusal for anyhow::Error {
    fn refusal(&self) -> Option<&Error> {
        // The chain holds neither the contexts themselves nor the box that this was made from.
        let boxed = || self.downcast_ref::<Box<dyn StdError + Send + Sync>>()?.refusal();
        self.downcast_ref().or_else(boxed).or_else(|| refusal(&**self))
    }

    fn is_final(&self) -> bool {
        is_final(&**self)
    }
}

/// Also finds an error that was given as a context. See [boxed and dynamic errors](crate::consumer#boxed-and-dynamic-errors).
#[cfg(feature = "eyre")]
impl Refusal for eyre::Report {
    fn refusal(&self) -> Option<&Error> {
        // The chain does not hold the contexts themselves.
        self.downcast_ref().or_else(|| refusal(&**self))
    }

    fn is_final(&self) -> bool {
        is_final(&**self)
    }
}
