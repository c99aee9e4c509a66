//! The schema of the view of stuck keys.

use crate::databases::postgres::{Options, Server, Store, number, open, pool, sql};

/// The view is in the schema of the table, even if another schema comes first in the search path.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn the_view_is_in_the_schema_of_its_table() {
    let server = Server::start().await;
    open(&server).await;
    sql(&server, r#"DROP VIEW idem_keys_stuck; CREATE SCHEMA "First"; ALTER SCHEMA public RENAME TO "Second""#).await;
    let options: Options = server.url().parse().unwrap();
    let options = options.options([("search_path", r#""First","Second""#)]);
    Store::open_with(pool(2).connect_with(options).await.unwrap()).await.unwrap();
    let views =
        |schema| format!("SELECT count(*) FROM pg_views WHERE schemaname = '{schema}' AND viewname LIKE 'idem%'");
    assert_eq!(number(&server, &views("First")).await, 0);
    assert_eq!(number(&server, &views("Second")).await, 1);
}
