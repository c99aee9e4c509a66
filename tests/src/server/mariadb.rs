//! A MariaDB server, or a MySQL server in its stead.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Program, Server, folder, free_port, in_path, template};

const DATABASE: &str = "idem";

/// The program of a MySQL server to test instead of MariaDB's.
const MYSQLD: &str = "IDEM_MYSQLD";

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
        let program = mysqld();
        let name = program.as_ref().map_or("mariadb".to_owned(), |path| path.display().to_string().replace('/', "-"));
        template::copy(&name, None, |folder| initialize(program.as_deref(), folder), &data);
        let mut arguments: Vec<_> = settings(&data).into();
        arguments.extend([
            format!("--port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--socket={}", socket(directory.path()).display()),
            format!("--pid-file={}", directory.path().join("pid").display()),
            "--max-connections=300".to_owned(),
        ]);
        arguments.extend(options.iter().map(|&option| option.to_owned()));
        let path = program.unwrap_or_else(|| super::program("mariadb-server", in_path("mariadbd")));
        // The server sends the first message. It names a way to log in only if it accepts connections.
        let program = Program { path, arguments, user: None, hello: (Vec::new(), b"_password") };
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

/// The settings of the server. `--no-defaults` has to be the first.
fn settings(data: &Path) -> [String; 9] {
    [
        "--no-defaults".to_owned(),
        format!("--datadir={}", data.display()),
        "--user=root".to_owned(),
        "--skip-name-resolve".to_owned(),
        "--innodb-buffer-pool-size=32M".to_owned(),
        // Small, as each start writes and syncs the log.
        "--loose-innodb-log-file-size=16M".to_owned(),
        "--loose-innodb-redo-log-capacity=16M".to_owned(),
        "--loose-mysqlx=OFF".to_owned(),
        // Without a certificate the connections aren't encrypted, so that a proxy can read the requests.
        "--loose-auto-generate-certs=OFF".to_owned(),
    ]
}

fn mysqld() -> Option<PathBuf> {
    std::env::var_os(MYSQLD).map(PathBuf::from)
}

fn initialize(mysqld: Option<&Path>, folder: &Path) {
    if let Some(path) = mysqld {
        let script = folder.join("script");
        let user = "root@'127.0.0.1'";
        let lines = [
            format!("CREATE DATABASE {DATABASE};"),
            format!("CREATE USER {user};"),
            format!("GRANT ALL ON *.* TO {user} WITH GRANT OPTION;"),
        ];
        std::fs::write(&script, lines.join("\n")).unwrap();
        let mut command = Command::new(path);
        command.args(settings(&folder.join("data"))).arg("--initialize-insecure");
        return template::run(command.arg(format!("--init-file={}", script.display())));
    }
    let path = super::program("mariadb-server", in_path("mariadb-install-db"));
    let data = folder.join("data");
    let mut command = Command::new(path);
    command.args(settings(&data)).args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
    template::run(&mut command);
    // In MariaDB, a folder is a database.
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
