//! Tx mode, attacked: interleavings, states of a driver and settings that its rules have to survive.
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

    /// sqlx takes the answer to a `PREPARE` that was dropped for that to a statement, and what follows it for the next: such
    /// a connection can only be closed.
    pub(crate) const PREPARES_IN_STEP: bool = false;

    mod every;
}
