//! The functions of a return type.

use super::output::HandlerOutput;
use crate::codec::DecodeError;
use crate::codec::record::{self, Encoded};
use crate::error::Error;
use crate::protocol::Record;

/// The conversions of a handler's return type `O`, as function pointers. They are collected in one place, so that a
/// return type that can't be recorded is one compile error and not five.
#[derive(Debug)]
pub struct Ops<O, V, E> {
    pub(crate) skipped: fn(&O) -> bool,
    pub(crate) into_result: fn(O) -> Result<V, E>,
    pub(crate) executed: fn(V) -> O,
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
        skipped: O::skipped,
        into_result: O::into_result,
        executed: O::executed,
        replayed: O::replayed,
        failed: O::failed,
        refused: O::refused,
        encode: record::encode_value::<O::Value>,
        decode: |encoded| encoded.decode(),
    }
}
