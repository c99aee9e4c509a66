//! Tx mode through other drivers than sqlx, and through a transaction type of a user's own.
//!
//! `rules.rs` is compiled once for each driver and database; `commits.rs` for those with `tx::commit`, `shared.rs` for those whose
//! transactions a handler takes by `&` too, `connections.rs` for both of sqlx 0.8, and `unlogged.rs` for all but diesel-async.

#![allow(clippy::duplicate_mod, reason = "that is the point of it")]
#![allow(clippy::needless_borrow, reason = "a `&mut` to a transaction of diesel-async is a `&mut` to a `&mut`")]

mod diesel_async;
mod logs;
mod own;
mod own_blocking;
mod sea_orm;
mod sqlx_08;
#[path = "../tx/support.rs"]
#[expect(dead_code, reason = "half of it is for sqlx's own transactions")]
mod support;
mod tokio_postgres;

/// What the rules need of a driver.
trait Driver: Sized {
    /// An open transaction. A `&mut` to it is one to a `Handle`, or derefs to one.
    type Tx<'t>;

    /// What a handler's `tx` is a `&mut` to.
    type Handle<'t>;

    /// Whether its errors keep the database's codes.
    const KEEPS_CODES: bool = true;

    /// One connection.
    async fn connect(url: &str) -> Self;

    /// A transaction in which R23 holds without an error.
    async fn begin(&mut self) -> Self::Tx<'_>;

    /// A transaction that has read, at a level at which it fails if another has written what it wants to write.
    async fn begin_strictly(&mut self) -> Self::Tx<'_>;

    async fn commit(tx: Self::Tx<'_>);

    async fn rollback(tx: Self::Tx<'_>);

    /// The effect of a body: inserts a row.
    async fn effect(tx: &mut Self::Handle<'_>, id: &str) {
        assert!(Self::runs(tx, &effect(id)).await);
    }

    /// Runs a statement, and returns whether it succeeded.
    async fn runs(tx: &mut Self::Handle<'_>, sql: &str) -> bool;
}

/// A driver whose transactions [`idem_runtime::tx::commit`] commits.
trait Commits: Driver {
    async fn try_commit(tx: Self::Tx<'_>) -> Result<(), idem_runtime::Error>;
}

/// The SQL of an effect.
fn effect(id: &str) -> String {
    format!("INSERT INTO effects (id) VALUES ('{id}')")
}

/// A query with which a transaction really begins.
const READ: &str = "SELECT count(*) FROM effects";

#[path = "."]
mod tokio_postgres_on_postgres {
    pub(crate) use super::support::postgres::Bench;
    pub(crate) use super::tokio_postgres::Client;

    pub(crate) const TRIPS: Option<(u32, u32)> = Some((2, 1));
    pub(crate) const ENDS_WHAT_IT_UNDID: bool = false;

    mod commits;
    mod rules;
    mod shared;
    mod unlogged;
}

#[path = "."]
mod own_on_postgres {
    pub(crate) use super::own::Client;
    pub(crate) use super::support::postgres::Bench;

    pub(crate) const TRIPS: Option<(u32, u32)> = Some((2, 1));
    pub(crate) const ENDS_WHAT_IT_UNDID: bool = false;

    mod commits;
    mod rules;
    mod shared;
    mod unlogged;
}

#[path = "."]
mod sea_orm_on_postgres {
    pub(crate) use super::sea_orm::Client;
    pub(crate) use super::support::postgres::Bench;

    pub(crate) const TRIPS: Option<(u32, u32)> = Some((2, 1));
    pub(crate) const ENDS_WHAT_IT_UNDID: bool = false;

    mod commits;
    mod rules;
    mod shared;
    mod unlogged;
}

#[path = "."]
mod sea_orm_on_mariadb {
    pub(crate) use super::sea_orm::Client;
    pub(crate) use super::support::mariadb::Bench;

    pub(crate) const TRIPS: Option<(u32, u32)> = Some((3, 2));
    pub(crate) const ENDS_WHAT_IT_UNDID: bool = true;

    mod commits;
    mod rules;
    mod shared;
    mod unlogged;
}

#[path = "."]
mod sea_orm_on_sqlite {
    pub(crate) use super::sea_orm::Client;
    pub(crate) use super::support::sqlite::Bench;

    /// The round trips of an execution and of a duplicate. `None`: there is no connection on which a proxy could count them.
    pub(crate) const TRIPS: Option<(u32, u32)> = None;
    pub(crate) const ENDS_WHAT_IT_UNDID: bool = true;

    mod commits;
    mod rules;
    mod shared;
    mod unlogged;
}

#[path = "."]
mod sqlx_08_on_postgres {
    pub(crate) use super::sqlx_08::postgres::Client;
    pub(crate) use super::support::postgres::Bench;

    pub(crate) const TRIPS: Option<(u32, u32)> = Some((2, 1));
    pub(crate) const ENDS_WHAT_IT_UNDID: bool = false;

    mod commits;
    mod connections;
    mod rules;
    mod unlogged;
}

#[path = "."]
mod sqlx_08_on_mariadb {
    pub(crate) use super::sqlx_08::mariadb::Client;
    pub(crate) use super::support::mariadb::Bench;

    pub(crate) const TRIPS: Option<(u32, u32)> = Some((3, 2));
    pub(crate) const ENDS_WHAT_IT_UNDID: bool = true;

    mod commits;
    mod connections;
    mod rules;
    mod unlogged;
}

#[path = "."]
mod diesel_async_on_postgres {
    pub(crate) use super::diesel_async::Client;
    pub(crate) use super::support::postgres::Bench;

    pub(crate) const TRIPS: Option<(u32, u32)> = Some((2, 1));

    mod rules;
}
