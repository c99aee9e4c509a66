//! Tx mode, on real databases.
//!
//! `rules.rs` is compiled once for each database: the same tests, with another `Db`.

#![allow(clippy::duplicate_mod, reason = "that is the point of it")]
#![allow(clippy::useless_format, reason = "a key that borrows its parameter inside of a format string")]

mod blocking;
mod isolation;
mod statements;
mod support;

/// SQLite, through sqlx.
#[path = "."]
mod on_sqlite {
    pub(crate) use super::support::sqlite::*;

    mod rules;
}

/// PostgreSQL.
#[path = "."]
mod on_postgres {
    pub(crate) use super::support::postgres::*;

    mod rules;
}

/// MariaDB.
#[path = "."]
mod on_mariadb {
    pub(crate) use super::support::mariadb::*;

    mod rules;
}
