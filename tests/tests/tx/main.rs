//! Tx mode, on real databases.
//!
//! `rules.rs`, `peers.rs`, `clocks.rs`, `commits.rs`, `answers.rs`, `resolutions.rs` and `unreadable.rs` are compiled once for
//! each database: the same tests, with another `Db`.

#![allow(clippy::duplicate_mod, reason = "that is the point of it")]
#![allow(clippy::useless_format, reason = "a key that borrows its parameter inside of a format string")]

mod blocking;
mod endings;
mod isolation;
mod statements;
mod support;

/// SQLite, through sqlx.
#[path = "."]
mod on_sqlite {
    pub(crate) use super::support::sqlite::*;

    /// Whether a transaction that the database rolled back has ended, so that each statement that follows is committed by itself.
    pub(crate) const ENDS_WHAT_IT_UNDID: bool = true;

    mod clocks;
    mod commits;
    mod names;
    mod peers;
    mod resolutions;
    mod rules;
    mod unreadable;
}

/// PostgreSQL.
#[path = "."]
mod on_postgres {
    pub(crate) use super::support::postgres::*;

    /// Whether a transaction that the database rolled back has ended, so that each statement that follows is committed by itself.
    pub(crate) const ENDS_WHAT_IT_UNDID: bool = false;

    mod answers;
    mod clocks;
    mod commits;
    mod names;
    mod peers;
    mod resolutions;
    mod rules;
    mod unreadable;
}

/// MariaDB.
#[path = "."]
mod on_mariadb {
    pub(crate) use super::support::mariadb::*;

    /// Whether a transaction that the database rolled back has ended, so that each statement that follows is committed by itself.
    pub(crate) const ENDS_WHAT_IT_UNDID: bool = true;

    mod answers;
    mod clocks;
    mod commits;
    mod names;
    mod peers;
    mod resolutions;
    mod rules;
    mod unreadable;
}
