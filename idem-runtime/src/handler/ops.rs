//! The functions of a return type.

use std::borrow::Borrow as _;

use super::event::Event;
use super::output::HandlerOutput;
use crate::codec::DecodeError;
use crate::codec::record::{self, Encoded};
use crate::error::Error;
use crate::protocol::{Leave, Record};

/// What a body returned.
pub(crate) enum Returned<'a, E> {
    /// A result. This encodes it.
    Value(&'a dyn Fn() -> Option<Record>),
    /// The handler's own error.
    Error(&'a E),
    /// What is neither: the key is left so.
    Neither(Leave),
}

impl<E> Returned<'_, E> {
    /// What is told of it, beside the end of the call.
    pub(crate) fn event(&self) -> Option<Event> {
        match self {
            Self::Value(_) => None,
            Self::Neither(Leave::NotRun) => Some(Event::Skipped),
            Self::Error(_) | Self::Neither(_) => Some(Event::Failed),
        }
    }
}

type Tell<'t, E> = dyn FnMut(Returned<'_, E>) + 't;

/// The conversions of a handler's return type `O`, as function pointers. They are collected in one place, so that a
/// return type that can't be recorded is one compile error and not five.
#[derive(Debug)]
pub struct Ops<O, V, E> {
    /// Tells the function what the body returned. It doesn't return that, because its type has no name.
    pub(crate) recorded: fn(&mut O, &mut Tell<'_, E>),
    pub(crate) own: fn(O) -> O,
    pub(crate) replayed: fn(V) -> O,
    pub(crate) failed: fn(E) -> O,
    pub(crate) refused: fn(Error) -> O,
    pub(crate) encode: fn(&V) -> Option<Record>,
    pub(crate) decode: for<'a> fn(Encoded<'a>) -> Result<V, DecodeError>,
}

impl<O, V, E> Clone for Ops<O, V, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O, V, E> Copy for Ops<O, V, E> {}

/// The functions of a return type.
pub(crate) fn of<O: HandlerOutput<M>, M>() -> Ops<O, O::Value, O::Error> {
    Ops {
        recorded: |output, tell| {
            if let Some(leave) = output.leave() {
                return tell(Returned::Neither(leave));
            }
            match output.recorded() {
                Ok(value) => tell(Returned::Value(&|| record::encode_value(&value))),
                Err(error) => tell(Returned::Error(error.borrow())),
            }
        },
        own: O::own,
        replayed: O::replayed,
        failed: O::failed,
        refused: O::refused,
        encode: record::encode_value::<O::Value>,
        decode: |encoded| encoded.decode(),
    }
}
