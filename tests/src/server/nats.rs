//! A NATS server.

use std::ops::Deref;
use std::path::PathBuf;

use super::{Program, Server, folder, free_port, program};

/// A NATS server with JetStream.
#[derive(Debug)]
pub struct Nats(Server);

impl Nats {
    /// Starts one.
    pub async fn start() -> Self {
        let (directory, port) = (folder(None), free_port());
        let arguments = format!("-a 127.0.0.1 -p {port} -js -sd {}", directory.path().display());
        let arguments = arguments.split(' ').map(str::to_owned).collect();
        let path = program("nats-server", ["/usr/sbin/nats-server", "/usr/bin/nats-server"].map(PathBuf::from));
        // It speaks first, once JetStream is up.
        let program = Program { path, arguments, user: None, hello: (Vec::new(), b"INFO {") };
        Self(Server::start(directory, port, format!("nats://127.0.0.1:{port}"), program).await)
    }
}

impl Deref for Nats {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}
