//! A pooler in front of a PostgreSQL server.

use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;

use super::postgres::{Postgres, startup, user};
use super::{Program, Server, folder, free_port, in_path, program};

/// PgBouncer. By default it gives each transaction any of four connections (`pool_mode = transaction`).
#[derive(Debug)]
pub struct PgBouncer(Server);

impl PgBouncer {
    /// Whether it can keep the prepared statements of its clients apart, as it can since 1.21.
    ///
    /// # Panics
    ///
    /// If it doesn't print its version.
    pub fn keeps_statements() -> bool {
        let told = Command::new(path()).arg("--version").output().unwrap().stdout;
        let told = String::from_utf8(told).unwrap();
        let minor = told.trim_start_matches("PgBouncer 1.").split(['.', '\n']).next().unwrap_or_default();
        minor.parse::<u32>().unwrap_or_else(|_| panic!("{told}")) >= 21
    }

    /// Starts one in front of this server.
    pub async fn start(server: &Postgres) -> Self {
        Self::start_with(server, &[]).await
    }

    /// Starts one with these settings, such as `pool_mode = session`.
    pub async fn start_with(server: &Postgres, settings: &[&str]) -> Self {
        let others = settings.join("\n");
        let mixes = if Self::keeps_statements() { "max_prepared_statements = 0" } else { "" };
        let (directory, port) = (folder(user()), free_port());
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 user=idem port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 4\n\
             ignore_startup_parameters = extra_float_digits\n{mixes}\n{others}\n",
            server.port()
        );
        let file = directory.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let path = path();
        let arguments = vec![file.display().to_string()];
        let program = Program { path, arguments, user: user(), hello: (startup(), b"R\0\0\0\x08") };
        let url = server.url().replace(&server.port().to_string(), &port.to_string());
        Self(Server::start(directory, port, url, program).await)
    }
}

fn path() -> PathBuf {
    program("pgbouncer", in_path("pgbouncer"))
}

impl Deref for PgBouncer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}
