//! An account: its name, and what it holds.

use std::fmt;

use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

/// The name of an account. The account need not exist.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Account(String);

impl Account {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The balance in cents; `None` if there is no such account.
    pub(crate) async fn balance(&self, connection: &mut AnyConnection) -> sqlx::Result<Option<i64>> {
        sqlx::query_scalar("SELECT cents FROM accounts WHERE id = $1").bind(&self.0).fetch_optional(connection).await
    }
}

impl TryFrom<String> for Account {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            true => Ok(Self(name)),
            false => Err("the name of an account is of letters, digits and dashes"),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
