//! A MariaDB server.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Program, Server, folder, free_port, in_path, program, template};

const DATABASE: &str = "idem";

/// A MariaDB server that syncs at each commit, as it does by default.
#[derive(Debug)]
pub struct MariaDb(Server);

impl MariaDb {
    /// Starts one.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with these options.
    pub async fn start_with(options: &[&str]) -> Self {
        let (directory, port) = (folder(None), free_port());
        let data = directory.path().join("data");
        template::copy("mariadb", None, initialize, &data);
        let mut arguments: Vec<_> = settings(&data).into();
        arguments.extend([
            format!("--port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--socket={}", socket(directory.path()).display()),
            format!("--pid-file={}", directory.path().join("pid").display()),
            "--max-connections=300".to_owned(),
        ]);
        arguments.extend(options.iter().map(|&option| option.to_owned()));
        let path = program("mariadb-server", in_path("mariadbd"));
        // It speaks first, and names the way to log in only where it lets anyone do so.
        let program = Program { path, arguments, user: None, hello: (Vec::new(), b"mysql_native_password") };
        let url = format!("mysql://root@127.0.0.1:{port}/{DATABASE}");
        Self(Server::start(directory, port, url, program).await)
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        socket(self.directory())
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("mariadb.sock")
}

/// The first has to be the first.
fn settings(data: &Path) -> [String; 6] {
    [
        "--no-defaults".to_owned(),
        format!("--datadir={}", data.display()),
        "--user=root".to_owned(),
        "--skip-name-resolve".to_owned(),
        "--innodb-buffer-pool-size=32M".to_owned(),
        // Each start writes and syncs it.
        "--innodb-log-file-size=16M".to_owned(),
    ]
}

fn initialize(folder: &Path) {
    let path = program("mariadb-server", in_path("mariadb-install-db"));
    let data = folder.join("data");
    let mut command = Command::new(path);
    command.args(settings(&data)).args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
    template::run(&mut command);
    // A database is a folder.
    std::fs::create_dir(data.join(DATABASE)).unwrap();
}

impl Deref for MariaDb {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl From<MariaDb> for Server {
    fn from(server: MariaDb) -> Self {
        server.0
    }
}
