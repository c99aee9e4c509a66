//! The name of a SQL store's table. Whatever else belongs to the table is named after it.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;

/// The default name. Each statement in this crate is written with it, and [`Table::named`] puts another in its place.
pub(crate) const DEFAULT: &str = "idem_keys";

/// The default name of earlier versions.
pub(crate) const FORMER: &str = "idempotency";

/// The longest name, in bytes. PostgreSQL cuts identifiers at 63 bytes, and a view or an index has a longer name than
/// its table.
const LONGEST: usize = 40;

/// The name of a table: a lowercase letter, and then lowercase letters, digits and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table(Arc<str>);

impl Default for Table {
    fn default() -> Self {
        Self(DEFAULT.into())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Table {
    /// Checks a name. The error doesn't show it: it can come from a URL, and be a part of a password.
    pub(crate) fn new(name: &str) -> Result<Self, Error> {
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
        if begins_well && name.len() <= LONGEST && name.bytes().all(is_part) {
            return Ok(Self(name.into()));
        }
        Err(Error::config(format!(
            "a store's table can't have this name: a name begins with a lowercase letter, goes on with lowercase letters, \
             digits and `_`, and has at most {LONGEST} characters"
        )))
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// A text that is written with the default name, with this name.
    pub(crate) fn named(&self, text: &str) -> String {
        text.replace(DEFAULT, &self.0)
    }

    /// Whether this is the name that earlier versions gave their table.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    pub(crate) fn is_former(&self) -> bool {
        &*self.0 == FORMER
    }

    /// Why a table that belongs to someone else can't be used, and what to do.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    pub(crate) fn is_foreign(&self) -> String {
        format!(
            "its table `{self}` or `{self}_schema` is someone else's: one of the two is missing, or has other columns or \
             indexes than in schema.sql; give the store a table of another name (`options().table(\"…\")`, `?table=…` in \
             its URL, and `tx::use_table(\"…\")` in tx mode), or rename theirs"
        )
    }

    /// Why there is no table of this name beside that of an earlier version, and what to do. `rename` is the SQL that
    /// renames it, written with the default name.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    pub(crate) fn has_other_name(&self, rename: &str) -> String {
        format!(
            "it has no table `{self}`, but the table `{FORMER}`, as earlier versions called it: go on with that one \
             (`options().table(\"{FORMER}\")`, `?table={FORMER}` in the URL, and `tx::use_table(\"{FORMER}\")` in tx mode), \
             or stop each process that uses it and rename it: {}",
            self.named(rename).trim_end()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_of_lowercase_letters_digits_and_underscores() {
        let longest = "a".repeat(LONGEST);
        for name in ["idem_keys", "order", "a", "k2_", &longest] {
            assert_eq!(Table::new(name).unwrap().to_string(), name);
        }
        let too_long = "a".repeat(LONGEST + 1);
        for name in ["", "_a", "2a", "Order", "a-b", "a b", "a\"b", "a`b", "a.b", "schlüssel", "a;", "a\0", &too_long]
        {
            let error = Table::new(name).unwrap_err();
            assert!(matches!(error, Error::Config { .. }), "{name}: {error}");
            assert!(name.is_empty() || !error.to_string().contains(&format!("`{name}`")), "{error}");
        }
    }

    #[test]
    fn whatever_belongs_to_a_table_is_named_after_it() {
        let table = Table::new("order").unwrap();
        let text = "SELECT \"idem_keys\", \"idem_keys_schema\" FROM `idem_keys_purge_at`";
        assert_eq!(table.named(text), "SELECT \"order\", \"order_schema\" FROM `order_purge_at`");
        let table = Table::new("idem_keys_too").unwrap();
        assert_eq!(table.named("\"idem_keys\", \"idem_keys_stuck\""), "\"idem_keys_too\", \"idem_keys_too_stuck\"");
    }
}
