//! Values within a statement. Each value that the store sends is a number or a string of hexadecimal digits. So the
//! server can't take a value for SQL, whatever its character set and its `sql_mode` are.

use std::fmt;

use crate::store::Key;

/// Bytes, as a binary string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        f.write_str("X'")?;
        // Many bytes at a time, because a record can have megabytes.
        for chunk in self.0.chunks(64) {
            let mut digits = [0; 128];
            for (byte, pair) in chunk.iter().zip(digits.chunks_exact_mut(2)) {
                pair[0] = DIGITS[usize::from(byte >> 4)];
                pair[1] = DIGITS[usize::from(byte & 15)];
            }
            f.write_str(str::from_utf8(&digits[..2 * chunk.len()]).map_err(|_| fmt::Error)?)?;
        }
        f.write_str("'")
    }
}

/// A value that may be null.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nullable<T>(pub(super) Option<T>);

impl<T: fmt::Display> fmt::Display for Nullable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("NULL"),
        }
    }
}

/// The condition that a row belongs to this key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Is<'a>(pub(super) &'a str, pub(super) &'a Key);

impl fmt::Display for Is<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scope = {} AND `key` = {}", Bytes(self.0.as_bytes()), Bytes(self.1.as_bytes()))
    }
}

/// The condition that a row belongs to one of these keys. The keys have to be in the order of scope and key, so that
/// each scope is written once.
#[derive(Clone, Copy, Debug)]
pub(super) struct IsOneOf<'a>(pub(super) &'a [(&'a [u8], &'a [u8])]);

impl fmt::Display for IsOneOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not `(scope, key) IN (...)`, because MariaDB reads the whole table for it.
        let scopes = self.0.chunk_by(|(one, _), (next, _)| one == next);
        for (nth, keys) in scopes.enumerate() {
            let Some((scope, _)) = keys.first() else { continue };
            let or = if nth == 0 { "(" } else { " OR " };
            write!(f, "{or}(scope = {} AND `key` IN ", Bytes(scope))?;
            for (nth, (_, key)) in keys.iter().enumerate() {
                let comma = if nth == 0 { "(" } else { "," };
                write!(f, "{comma}{}", Bytes(key))?;
            }
            f.write_str("))")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_digits() {
        assert_eq!(Bytes(b"").to_string(), "X''");
        assert_eq!(Bytes(b"'; DROP\\\0\xff").to_string(), "X'273B2044524F505C00FF'");
        assert_eq!(Bytes(&[0xa5; 200]).to_string(), format!("X'{}'", "A5".repeat(200)));
        assert_eq!(Nullable(Some(-5)).to_string(), "-5");
        assert_eq!(Nullable(Option::<Bytes<'_>>::None).to_string(), "NULL");
    }

    #[test]
    fn keys_are_grouped_by_scope() {
        let keys: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"a", b"2"), (b"b", b"1")];
        let expected = "((scope = X'61' AND `key` IN (X'31',X'32')) OR (scope = X'62' AND `key` IN (X'31')))";
        assert_eq!(IsOneOf(&keys).to_string(), expected);
    }
}
