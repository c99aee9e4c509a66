//! Attacks on tx mode: interleavings, states of a driver and settings of a database in which its rules have to hold.
//!
//! `every.rs` is compiled once for each database, as the rules of `tx` are.

#![allow(dead_code, reason = "not every database needs all of the support of `tx`")]
#![allow(clippy::duplicate_mod, reason = "once for each database")]

mod settings;
mod shapes;
#[path = "../tx/support.rs"]
mod support;

/// SQLite, through sqlx.
#[path = "."]
mod on_sqlite {
    pub(crate) use super::support::sqlite::*;

    pub(crate) const PREPARES_IN_STEP: bool = true;

    mod every;
}

/// PostgreSQL.
#[path = "."]
mod on_postgres {
    pub(crate) use super::support::postgres::*;

    pub(crate) const PREPARES_IN_STEP: bool = true;

    mod every;
}

/// MariaDB.
#[path = "."]
mod on_mariadb {
    pub(crate) use super::support::mariadb::*;

    /// Whether the connection is usable after a call was dropped that prepared a statement. With MariaDB it isn't: sqlx takes the
    /// answer to the `PREPARE` for that of the next statement, and so on, so the connection has to be closed.
    pub(crate) const PREPARES_IN_STEP: bool = false;

    mod every;
}
