//! PostgreSQL's errors.

use sqlx::error::DatabaseError;

use crate::store::sql::Dialect;

/// The error codes of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(super) enum Postgres {}

fn code(error: &dyn DatabaseError) -> String {
    error.code().map_or_else(String::new, std::borrow::Cow::into_owned)
}

impl Postgres {
    /// Whether a table lacks a column that the store reads, or has it with a type that can't be read.
    pub(super) fn lacks_column(error: &dyn DatabaseError) -> bool {
        matches!(&*code(error), "42703" | "42846")
    }
}

impl Dialect for Postgres {
    const STORE: &'static str = "PostgreSQL";

    /// Connections that were refused or ended, used-up resources, locks and cancelled statements.
    fn is_passing(error: &dyn DatabaseError) -> bool {
        let code = code(error);
        // Includes the code with which a pooler reports that its server is down.
        matches!(&code[..code.len().min(2)], "08" | "40" | "53" | "57") || matches!(&*code, "55P03" | "58000" | "58030")
    }

    /// A serialization failure, and a deadlock.
    fn is_conflict(error: &dyn DatabaseError) -> bool {
        matches!(&*code(error), "40001" | "40P01")
    }

    /// The server was stopped by an administrator or a crash, the database was dropped, the session was idle for too
    /// long, or the server is a standby.
    fn is_farewell(error: &dyn DatabaseError) -> bool {
        matches!(&*code(error), "57P01" | "57P02" | "57P04" | "57P05" | "25006")
    }

    fn turns_away(error: &dyn DatabaseError) -> Option<&'static str> {
        match &*code(error) {
            "28000" | "28P01" => Some("logging in was refused"),
            "3D000" => Some("there is no such database"),
            _ => None,
        }
    }

    fn may_lack_table(error: &dyn DatabaseError) -> bool {
        code(error) == "42P01"
    }

    fn is_full(error: &dyn DatabaseError) -> bool {
        match &*code(error) {
            // The limit of the server, of the database, or of the user.
            "53300" => true,
            // The limit of PgBouncer.
            "08P01" => error.message().contains("no more connections allowed"),
            _ => false,
        }
    }

    fn advice(error: &dyn DatabaseError) -> Option<&'static str> {
        match &*code(error) {
            "28P01" => Some("check the user and the password"),
            "28000" => Some("check the user, and whether the server's pg_hba.conf lets it in from here"),
            "3D000" => Some("create the database, or name another one"),
            "42P01" => Some(
                "create the tables with `PostgresStore::migrate`, or with schema.sql, in a schema of the connection's \
                 `search_path`; for tables of another name, `tx::schema_named` returns the SQL",
            ),
            "42501" => Some(
                "the store needs SELECT, INSERT, UPDATE and DELETE on its tables, and CREATE on their schema where it is to \
                 create them",
            ),
            "25006" => Some("connect to the primary: a standby can't be written"),
            "26000" | "42P05" => Some("behind a pooler such as PgBouncer, open the store with `simple_queries(true)`"),
            // PgBouncer refuses a setting of its client.
            "08P01" if error.message().contains("startup parameter") => Some(
                "behind a pooler such as PgBouncer, open the store with `simple_queries(true)`; one in session mode can be \
                 told `ignore_startup_parameters = extra_float_digits,options` instead",
            ),
            _ => None,
        }
    }
}
