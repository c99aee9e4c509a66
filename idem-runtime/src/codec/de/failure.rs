//! Why a value can't be read, for as long as the reading goes on.

use std::fmt;

use serde::de;

/// Knows more than a [`DecodeError`](super::super::DecodeError): the text of a type's own error, by which some types find
/// their way. `serde_with::EnumMap` knows by it that a map has no more entries.
#[derive(Debug)]
pub(in super::super) struct Failure {
    reason: Reason,
    at: Option<usize>,
}

#[derive(Debug)]
enum Reason {
    /// Names types, fields and variants of the program. Where serde says what it found, this doesn't listen.
    Expected(String),
    /// Can be made from anything, so it never leaves the codec.
    Custom(String),
}

impl Failure {
    pub(super) fn expected(expected: impl Into<String>, at: usize) -> Self {
        Self { at: Some(at), ..Self::anywhere(expected) }
    }

    /// Made where the position isn't known: by a type's own `Deserialize`.
    pub(super) fn anywhere(expected: impl Into<String>) -> Self {
        Self { reason: Reason::Expected(expected.into()), at: None }
    }

    /// Keeps the innermost position.
    pub(super) fn or_at(mut self, at: usize) -> Self {
        self.at.get_or_insert(at);
        self
    }

    /// What was expected, without a text that can hold a value, and where.
    pub(in super::super) fn into_expected(self) -> (String, usize) {
        let expected = match self.reason {
            Reason::Expected(expected) => expected,
            Reason::Custom(_) => "a valid value".to_owned(),
        };
        (expected, self.at.unwrap_or(0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Expected(expected) => write!(f, "expected {expected}"),
            Reason::Custom(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self { reason: Reason::Custom(text.to_string()), at: None }
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::anywhere(expected.to_string())
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::anywhere(expected.to_string())
    }

    fn invalid_length(_: usize, expected: &dyn de::Expected) -> Self {
        Self::anywhere(expected.to_string())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::anywhere(one_of("variant", expected))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::anywhere(one_of("field", expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::anywhere(format!("the field `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::anywhere(format!("the field `{field}` only once"))
    }
}

fn one_of(what: &str, names: &[&str]) -> String {
    match names {
        [] => format!("no {what}"),
        [name] => format!("the {what} `{name}`"),
        names => format!("one of the {what}s `{}`", names.join("`, `")),
    }
}
