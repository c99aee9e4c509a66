//! A statement as a driver gets it, and the values of its answer.

use std::fmt;

/// A statement for a driver to prepare and run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Statement<'a> {
    /// The text. There are only a few texts for each database, so it pays to keep them prepared. Parameters are `$1`,
    /// `$2` on PostgreSQL, `?1`, `?2` on SQLite, and `?` on MySQL.
    pub sql: &'a str,
    /// One value for each parameter.
    pub params: &'a [Param<'a>],
    /// The columns that [`Transaction::query`](super::Transaction::query) returns, in their order. Empty for [`Transaction::execute`](super::Transaction::execute).
    pub columns: &'static [Column],
}

/// A parameter of a [`Statement`]. It is never null.
#[derive(Clone, Copy)]
pub enum Param<'a> {
    /// `text`.
    Text(&'a str),
    /// `bytea`, `VARBINARY`, `BLOB`.
    Bytes(&'a [u8]),
    /// `bigint`, `INTEGER`.
    Integer(i64),
}

/// Doesn't show bytes, because they can be those of a result. So a driver that logs its parameters may log this.
impl fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({text:?})"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Integer(number) => write!(f, "Integer({number})"),
        }
    }
}

/// A column of an answer. Any column can be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Column {
    /// Its name in the answer, for a driver that finds the values by name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: ColumnKind,
}

impl Column {
    pub(super) const fn integer(name: &'static str) -> Self {
        Self { name, kind: ColumnKind::Integer }
    }

    pub(super) const fn bytes(name: &'static str) -> Self {
        Self { name, kind: ColumnKind::Bytes }
    }
}

/// The type of the values of a [`Column`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A signed integer of 64 bits.
    Integer,
    /// Bytes.
    Bytes,
}

/// A value of an answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// The value of a [`ColumnKind::Integer`].
    Integer(Option<i64>),
    /// The value of a [`ColumnKind::Bytes`].
    Bytes(Option<Vec<u8>>),
}

/// Doesn't show bytes, because they can be those of a result.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "Integer({number:?})"),
            Self::Bytes(bytes) => write!(f, "Bytes({:?} bytes)", bytes.as_ref().map(Vec::len)),
        }
    }
}
