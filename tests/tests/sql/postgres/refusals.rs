//! Users that the server doesn't let in.

use crate::databases::postgres::{Server, Store, sql};

/// A user that the server doesn't let in gets an error that says so, with the server's own message, and doesn't speak of tables.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn who_is_turned_away_is_told_why() {
    let server = Server::start().await;
    sql(&server, "CREATE ROLE app LOGIN PASSWORD 'sesame'").await;
    let file = server.directory().join("data/pg_hba.conf");
    let trusted = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("host all app all scram-sha-256\nhost all barred all reject\n{trusted}")).unwrap();
    server.restart().await;
    let url = server.url();
    for (wrong, what, said, advice) in [
        ("app:opensesame@", "logging in was refused", "password authentication failed for user", "the password"),
        ("nobody@", "logging in was refused", "role \"nobody\" does not exist", "check the user"),
        ("barred@", "logging in was refused", "pg_hba.conf rejects connection", "pg_hba.conf lets it in"),
    ] {
        turned_away(&url.replace("idem@", wrong), [what, said, advice]).await;
    }
    let nowhere = ["there is no such database", "database \"nowhere\" does not exist", "create the database"];
    turned_away(&url.replace("/postgres", "/nowhere"), nowhere).await;
    sql(&server, "GRANT CREATE ON SCHEMA public TO app").await;
    Store::open(&url.replace("idem@", "app:sesame@")).await.unwrap();
}

async fn turned_away(url: &str, told: [&str; 3]) {
    for options in [Store::options(), Store::options().migrate(false)] {
        let error = options.open(url).await.unwrap_err().to_string();
        assert!(told.iter().all(|told| error.contains(told)), "{error}");
        assert!(!error.contains("table") && !error.contains("sesame"), "{error}");
    }
}
