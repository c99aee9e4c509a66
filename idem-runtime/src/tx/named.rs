//! The name of the table that tx mode uses.

use once_cell::sync::OnceCell;

use super::Database;
use super::database::schema;
use crate::error::Error;
use crate::store::table::Table;

static USED: OnceCell<Table> = OnceCell::new();

/// The table that tx mode uses in this process.
pub(super) fn table() -> &'static Table {
    USED.get_or_init(Table::default)
}

/// Sets the name of the table that tx mode uses in this process. Call it once, at start, before the first call in tx
/// mode. Without it, the table is `idem_keys`. The same name again is `Ok`.
///
/// A name is a lowercase letter, and then lowercase letters, digits and `_`, at most 40 characters. Stores of the same
/// database find these keys with the same name: `PostgresStore::options().table("…")`, or `?table=…` in the URL.
///
/// ```
/// # fn main() -> Result<(), idem_runtime::Error> {
/// use idem_runtime::tx;
///
/// tx::use_table("order_keys")?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Config`] if no table can have this name, if another name was set before, and if a call in tx mode came
/// before and the name isn't the one that it used.
pub fn use_table(name: &str) -> Result<(), Error> {
    let named = Table::new(name)?;
    let used = USED.get_or_init(|| named.clone());
    if *used == named {
        return Ok(());
    }
    Err(Error::config(format!(
        "tx mode uses the table `{used}` in this process already, and was to use `{named}`: call `tx::use_table` once, at \
         start, before the first call in tx mode"
    )))
}

/// The SQL of [`schema`], with another name of the table. Whatever else it creates is named after the table.
///
/// ```
/// # fn main() -> Result<(), idem_runtime::Error> {
/// use idem_runtime::tx::{Database, schema_named};
///
/// assert!(schema_named(Database::Postgres, "order_keys")?.contains("CREATE OR REPLACE VIEW \"order_keys_stuck\""));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Config`] if no table can have this name.
pub fn schema_named(database: Database, name: &str) -> Result<String, Error> {
    Ok(Table::new(name)?.named(schema(database)))
}
