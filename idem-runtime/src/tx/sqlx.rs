//! sqlx's transactions, and its connections in one. The text is the same for each version of sqlx.

macro_rules! implement {
    (
        $feature:literal, $sqlx:ident, $text:expr, $database:ident, $connection:ident, $arguments:ty, $code:expr
    ) => {
        #[cfg(feature = $feature)]
        const _: () = {
            use $sqlx::Row as _;
            use $sqlx::$database as Db;

            use crate::tx::ended::{ASK, BEGIN, has_ended, lost};
            use crate::tx::{ColumnKind, Commit, Committing, Database, Failure, Param, Statement, Transaction, Value};

            fn failed(error: $sqlx::Error) -> Failure {
                let code: Option<String> = error.as_database_error().and_then($code);
                match code {
                    Some(code) => Failure::answered(Database::$database, &code, error),
                    None => Failure::unanswered(error),
                }
            }

            fn bound<'q>(statement: Statement<'q>) -> $sqlx::query::Query<'q, Db, $arguments> {
                let query = $sqlx::query($text(statement.sql));
                statement.params.iter().fold(query, |query, param| match *param {
                    Param::Text(text) => query.bind(text),
                    Param::Bytes(bytes) => query.bind(bytes),
                    Param::Integer(number) => query.bind(number),
                })
            }

            #[diagnostic::do_not_recommend]
            impl Transaction for $sqlx::$connection {
                fn database(&self) -> Database {
                    Database::$database
                }

                fn is_in_transaction(&mut self) -> bool {
                    $sqlx::Connection::is_in_transaction(self)
                }

                async fn query(&mut self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, Failure> {
                    #[cfg(feature = "postgres")]
                    crate::tx::warn_behind_pooler(Database::$database);
                    let row = bound(statement).fetch_optional(self).await.map_err(failed)?;
                    let Some(row) = row else { return Ok(None) };
                    let values = statement.columns.iter().map(|column| {
                        Ok(match column.kind {
                            ColumnKind::Integer => Value::Integer(row.try_get(column.name)?),
                            ColumnKind::Bytes => Value::Bytes(row.try_get(column.name)?),
                        })
                    });
                    values.collect::<$sqlx::Result<_>>().map(Some).map_err(failed)
                }

                async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Failure> {
                    bound(statement).execute(self).await.map(|done| done.rows_affected()).map_err(failed)
                }
            }

            #[diagnostic::do_not_recommend]
            impl Transaction for $sqlx::Transaction<'_, Db> {
                fn database(&self) -> Database {
                    Database::$database
                }

                fn is_in_transaction(&mut self) -> bool {
                    $sqlx::Connection::is_in_transaction(&**self)
                }

                async fn query(&mut self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, Failure> {
                    Transaction::query(&mut **self, statement).await
                }

                async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Failure> {
                    Transaction::execute(&mut **self, statement).await
                }
            }

            #[diagnostic::do_not_recommend]
            impl<'t> Commit for $sqlx::Transaction<'t, Db> {
                type Committed = Committing<'t>;

                fn commit(mut self) -> Committing<'t> {
                    Box::pin(async move {
                        if Database::$database != Database::Sqlite {
                            let asked = $sqlx::Executor::execute(&mut *self, $sqlx::raw_sql(ASK)).await;
                            asked.map_err(|error| failed(error).at_commit())?;
                        } else if has_ended(&mut self).await {
                            let _ = Transaction::execute(&mut self, BEGIN).await;
                            let _ = self.rollback().await;
                            return Err(lost(Database::Sqlite, None));
                        }
                        self.commit().await.map_err(|error| failed(error).at_commit())
                    })
                }
            }
        };
    };
}

// Of each version: its feature, its crate, and what makes a query of a text. sqlx 0.9 takes a text that isn't `'static`
// only with the assertion that no value of a caller is in it.

macro_rules! postgres {
    ($feature:literal, $sqlx:ident, $text:expr) => {
        implement!($feature, $sqlx, $text, Postgres, PgConnection, $sqlx::postgres::PgArguments, |error| {
            error.code().map(Into::into)
        });
    };
}

macro_rules! mysql {
    ($feature:literal, $sqlx:ident, $text:expr) => {
        implement!($feature, $sqlx, $text, MySql, MySqlConnection, $sqlx::mysql::MySqlArguments, |error| {
            error.try_downcast_ref::<$sqlx::mysql::MySqlDatabaseError>().map(|error| error.number().to_string())
        });
    };
}

postgres!("postgres", sqlx, sqlx::AssertSqlSafe);
postgres!("sqlx-08-postgres", sqlx_08, std::convert::identity);
mysql!("mysql", sqlx, sqlx::AssertSqlSafe);
mysql!("sqlx-08-mysql", sqlx_08, std::convert::identity);
implement!(
    "sqlx-sqlite",
    sqlx,
    sqlx::AssertSqlSafe,
    Sqlite,
    SqliteConnection,
    sqlx::sqlite::SqliteArguments,
    |error| { error.code().map(Into::into) }
);
