//! What a duplicate gets: the recorded outcome, or the answer that there is when its type has changed or can't be read back.

#![allow(clippy::unnecessary_wraps, reason = "the functions of `on_decode` return a `Result`")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asserted;
mod deploys;
mod frameworks;
mod grpc;
mod http;
mod noticed;
mod on_decode;
mod shown;
mod unencodable;

use idem_runtime::AnyStore;
use idem_tests::server::{Kind, Server};
use tempfile::TempDir;

/// A store of each kind that needs no server.
async fn embedded() -> (TempDir, [AnyStore; 2]) {
    let home = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", home.path().join("keys.sqlite").display());
    (home, [idem_runtime::connect("memory:").await.unwrap(), idem_runtime::connect(&sqlite).await.unwrap()])
}

/// A store on a server of each kind.
async fn served(kind: Kind) -> (Server, AnyStore) {
    let server = kind.start().await;
    let store = idem_runtime::connect(&server.url()).await.unwrap();
    (server, store)
}
