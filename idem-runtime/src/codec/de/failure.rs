//! The error while a value is being read.

use std::fmt;

use serde::de;

/// It holds more than a [`DecodeError`](super::super::DecodeError): the text of a type's own error. Some types read
/// that text: by it, `serde_with::EnumMap` recognises the end of a map.
#[derive(Debug)]
pub(in super::super) struct Failure {
    reason: Reason,
    at: Option<usize>,
}

#[derive(Debug)]
enum Reason {
    /// The names of types, fields and variants of the program. It doesn't hold what serde found instead.
    Expected(String),
    /// The text of a type's own error. It can hold a value, so it never leaves the codec.
    Custom(String),
}

impl Failure {
    pub(super) fn expected(expected: impl Into<String>, at: usize) -> Self {
        Self { at: Some(at), ..Self::anywhere(expected) }
    }

    /// An error without a position, as a type's own `Deserialize` makes it.
    pub(super) fn anywhere(expected: impl Into<String>) -> Self {
        Self { reason: Reason::Expected(expected.into()), at: None }
    }

    /// Sets the position, unless the error has one: the innermost position counts.
    pub(super) fn or_at(mut self, at: usize) -> Self {
        self.at.get_or_insert(at);
        self
    }

    /// What was expected, without any text that can hold a value, and at which byte.
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
