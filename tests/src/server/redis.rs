//! A Redis server.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::{Program, Server, folder, free_port, in_path, program};

/// A Redis server that keeps what it acknowledges: it syncs its file at each write.
#[derive(Debug)]
pub struct Redis(Server);

impl Redis {
    /// Starts one.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with these options.
    pub async fn start_with(options: &[&str]) -> Self {
        let (directory, port) = (folder(None), free_port());
        let socket = socket(directory.path());
        let always = format!(
            "--port {port} --bind 127.0.0.1 --dir {} --unixsocket {} --save  --appendonly yes --appendfsync always",
            directory.path().display(),
            socket.display()
        );
        // Split at each space: the value of `--save` is empty.
        let arguments = always.split(' ').chain(options.iter().copied()).map(str::to_owned).collect();
        let path = program("redis-server", in_path("redis-server"));
        let program = Program { path, arguments, user: None, hello: (b"PING\r\n".to_vec(), b"+PONG") };
        let url = format!("redis://127.0.0.1:{port}/");
        Self(Server::start(directory, port, url, program).await)
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        socket(self.directory())
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("redis.sock")
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl From<Redis> for Server {
    fn from(server: Redis) -> Self {
        server.0
    }
}
