//! A store of each kind, together with the folder or the server that it needs.

use std::sync::{Arc, Weak};

use idem_runtime::{AnyStore, MemoryStore, SqliteStore};
use idem_tests::server::{Kind, Server};
use tempfile::TempDir;
use tokio::sync::Mutex;

pub(crate) fn memory() -> AnyStore {
    AnyStore::new(MemoryStore::new())
}

pub(crate) async fn sqlite() -> (AnyStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("keys.sqlite")).await.unwrap();
    (AnyStore::new(store), folder)
}

/// A store on a server that all tests with this kind share. The server ends with the last test that uses it.
pub(crate) async fn on(kind: Kind) -> (AnyStore, Arc<Server>) {
    static SERVERS: Mutex<Vec<(Kind, Weak<Server>)>> = Mutex::const_new(Vec::new());
    let mut servers = SERVERS.lock().await;
    let running = servers.iter().find(|(of, _)| *of == kind).and_then(|(_, server)| server.upgrade());
    let server = match running {
        Some(server) => server,
        None => Arc::new(kind.start().await),
    };
    servers.retain(|(of, _)| *of != kind);
    servers.push((kind, Arc::downgrade(&server)));
    drop(servers);
    let store = idem_runtime::connect(&server.url()).await.unwrap();
    (store, server)
}
