//! Users that the server doesn't let in, or that may not write.

use crate::charge;
use crate::databases::mariadb::{Server, Store, open, sql};

/// A user that the server doesn't let in gets an error that says so, with the server's own message, and doesn't speak of tables.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn who_is_turned_away_is_told_why() {
    let server = Server::start().await;
    let users = "CREATE USER app IDENTIFIED BY 'sesame'; CREATE USER far@'10.9.8.7'; CREATE USER locked ACCOUNT LOCK";
    sql(&server, users).await;
    let url = server.url();
    let refused = "logging in was refused";
    for (wrong, database, told) in [
        ("app:opensesame@", "idem", [refused, "Access denied for user 'app'", "check the user and the password"]),
        ("nobody@", "idem", [refused, "Access denied for user 'nobody'", "check the user and the password"]),
        ("far@", "idem", [refused, "Access denied for user 'far'", "may come from here"]),
        ("locked@", "idem", [refused, "this account is locked", "unlock the account"]),
        ("root@", "nowhere", ["there is no such database", "Unknown database 'nowhere'", "create the database"]),
        ("app:sesame@", "idem", ["may not use this database", "Access denied for user 'app'", "a user with SELECT"]),
    ] {
        let url = url.replace("root@", wrong).replace("/idem", &format!("/{database}"));
        for options in [Store::options(), Store::options().migrate(false)] {
            let error = options.open(&url).await.unwrap_err();
            assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
            let error = error.to_string();
            assert!(told.iter().all(|told| error.contains(told)), "{error}");
            assert!(!error.contains("tables could") && !error.contains("sesame"), "{error}");
        }
    }
    sql(&server, "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON idem.* TO app").await;
    Store::open(&url.replace("root@", "app:sesame@")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn who_may_only_read_is_sent_to_the_primary() {
    let server = Server::start().await;
    open(&server).await;
    sql(&server, "CREATE USER app; GRANT SELECT, INSERT, UPDATE, DELETE ON idem.* TO app").await;
    let store = Store::open(&server.url().replace("root@", "app@")).await.unwrap();
    sql(&server, "SET GLOBAL read_only = 1").await;
    let error = charge(&store, "order").await.unwrap_err();
    assert!(error.to_string().contains("connect to the primary"), "{error}");
}

/// A table that was renamed without its index, which a sweep names.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn a_table_without_its_index_is_refused() {
    let server = Server::start().await;
    open(&server).await;
    sql(&server, "RENAME TABLE idem_keys TO other, idem_keys_schema TO other_schema").await;
    let error = Store::options().table("other").open(&server.url()).await.unwrap_err().to_string();
    assert!(error.contains("other columns or indexes") && error.contains("other_purge_at"), "{error}");
    sql(&server, "ALTER TABLE other RENAME INDEX idem_keys_purge_at TO other_purge_at").await;
    Store::options().table("other").open(&server.url()).await.unwrap();
}
