//! A store whose statements are counted, as the server logs them.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::databases::postgres::{Server, Store, open};

pub(crate) struct Counted {
    pub(crate) store: Store,
    server: Server,
    seen: AtomicUsize,
}

impl Counted {
    pub(crate) async fn start() -> Self {
        let server = Server::start_with(&["-c", "log_statement=all"]).await;
        Self { store: open(&server).await, server, seen: AtomicUsize::new(0) }
    }

    /// The number of statements since the last call of this.
    pub(crate) fn taken(&self) -> usize {
        let log = std::fs::read_to_string(self.server.directory().join("log")).unwrap();
        let sent = |line: &str| line.contains("LOG:  execute") || line.contains("LOG:  statement:");
        let logged = log.lines().filter(|line| sent(line)).count();
        logged - self.seen.swap(logged, Ordering::SeqCst)
    }
}
