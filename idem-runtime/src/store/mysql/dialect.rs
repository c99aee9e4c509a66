//! The errors of MySQL and MariaDB.

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

use crate::store::sql::Dialect;

/// The error numbers of MySQL (<https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>) and MariaDB
/// (<https://mariadb.com/kb/en/mariadb-error-code-reference/>).
pub(super) enum MySql {}

fn number(error: &dyn DatabaseError) -> u16 {
    error.try_downcast_ref::<MySqlDatabaseError>().map_or(0, MySqlDatabaseError::number)
}

impl MySql {
    /// Whether a table lacks a column that the store reads, or the index that it names.
    pub(super) fn lacks_column(error: &dyn DatabaseError) -> bool {
        matches!(number(error), 1054 | 1176)
    }

    /// Whether the server doesn't know the statement's syntax. The message quotes the statement, and with it a result.
    pub(super) fn is_syntax_error(error: &dyn DatabaseError) -> bool {
        number(error) == 1064
    }
}

impl Dialect for MySql {
    const STORE: &'static str = "MySQL";

    /// Used-up resources, servers that stop, join or fail over, locks, and statements that were cancelled.
    fn is_passing(error: &dyn DatabaseError) -> bool {
        matches!(
            number(error),
            1037 | 1038 | 1040 | 1041 | 1042 | 1043 | 1047 | 1053 | 1077..=1080 | 1152 | 1158..=1161 | 1180 | 1184 | 1203
                | 1205 | 1206 | 1213 | 1226 | 1317 | 1637 | 1927 | 1969 | 2006 | 2013 | 3024 | 3100 | 3101 | 3168 | 4031
        )
    }

    /// A deadlock, or a row that changed meanwhile.
    fn is_conflict(error: &dyn DatabaseError) -> bool {
        matches!(number(error), 1020 | 1213)
    }

    fn is_farewell(error: &dyn DatabaseError) -> bool {
        // The server shut down, the connection was killed or idle for too long, or the server is read-only because
        // another one has become the primary.
        matches!(number(error), 1053 | 1079 | 1927 | 4031 | 1290 | 1836)
    }

    fn turns_away(error: &dyn DatabaseError) -> Option<&'static str> {
        match number(error) {
            // The user or the password is wrong, the host may not connect, the account is locked, or the password has
            // expired.
            1045 | 1130 | 1698 | 1820 | 1862 | 3118 | 4151 => Some("logging in was refused"),
            1044 => Some("the user may not use this database, or there is none"),
            1049 => Some("there is no such database"),
            _ => None,
        }
    }

    fn may_lack_table(error: &dyn DatabaseError) -> bool {
        matches!(number(error), 1142 | 1146)
    }

    fn is_full(error: &dyn DatabaseError) -> bool {
        // The limit of the server, or of the user.
        matches!(number(error), 1040 | 1203 | 1226)
    }

    fn code(error: &dyn DatabaseError) -> Option<String> {
        Some(number(error).to_string())
    }

    fn advice(error: &dyn DatabaseError) -> Option<&'static str> {
        match number(error) {
            1045 | 1698 => Some("check the user and the password, and whether the user may come from here"),
            1130 => Some("create the user for this host"),
            1820 | 1862 | 3118 | 4151 => Some("have an administrator unlock the account, or renew its password"),
            1049 => Some("create the database, or name another one"),
            1146 => Some(
                "create the tables with `MySqlStore::migrate`, or with schema.sql, in the URL's database; for tables of \
                 another name, `tx::schema_named` returns the SQL",
            ),
            1046 => Some("name the database in the URL"),
            1044 | 1142 | 1143 | 1227 => Some(
                "the store needs a user with SELECT, INSERT, UPDATE and DELETE on its tables, and CREATE where it is to \
                 create them",
            ),
            1290 | 1792 | 1836 => Some("connect to the primary: this server is read-only"),
            1153 => Some("raise `max_allowed_packet`, and open the store again"),
            1665 => Some("the server's `binlog_format` has to be MIXED or ROW"),
            1071 | 1118 | 1709 => {
                Some("the tables need InnoDB pages of 16 KiB, and records a redo log of ten times their size")
            }
            _ => None,
        }
    }
}
