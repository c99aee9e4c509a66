//! A PostgreSQL server.

use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Program, Server, folder, free_port, program, template};

const USER: &str = "idem";
/// The one that every new server has.
const DATABASE: &str = "postgres";

/// A PostgreSQL server, with `fsync` as it is by default: on.
#[derive(Debug)]
pub struct Postgres(Server);

impl Postgres {
    /// Starts one.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with these options.
    pub async fn start_with(options: &[&str]) -> Self {
        let (user, binaries) = (user(), binaries());
        let (directory, port) = (folder(user), free_port());
        let data = directory.path().join("data");
        let make = |folder: &Path| initialize(&binaries, user, folder);
        template::copy(&format!("postgres-{}", version(&binaries)), user, make, &data);
        let mut arguments = vec!["-D".to_owned(), data.display().to_string()];
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            format!("unix_socket_directories={}", directory.path().display()),
            "max_connections=300".to_owned(),
            "shared_buffers=32MB".to_owned(),
        ] {
            arguments.extend(["-c".to_owned(), setting]);
        }
        arguments.extend(options.iter().map(|&option| option.to_owned()));
        // Asks to log in, and waits until that succeeds: the server accepts connections before it accepts logins.
        let program = Program { path: binaries.join("postgres"), arguments, user, hello: (startup(), b"R\0\0\0\x08") };
        let url = format!("postgres://{USER}@127.0.0.1:{port}/{DATABASE}");
        Self(Server::start(directory, port, url, program).await)
    }

    /// The folder of its Unix socket, as libpq and its kin take it.
    pub fn socket(&self) -> PathBuf {
        self.directory().to_owned()
    }
}

/// The first message of a client: its length, the protocol's version, and the user.
pub(super) fn startup() -> Vec<u8> {
    let who = format!("user\0{USER}\0database\0{DATABASE}\0\0");
    let length = u32::try_from(8 + who.len()).unwrap();
    [&length.to_be_bytes(), &196_608_u32.to_be_bytes(), who.as_bytes()].concat()
}

fn initialize(binaries: &Path, user: Option<(u32, u32)>, folder: &Path) {
    let mut command = Command::new(binaries.join("initdb"));
    command.current_dir("/").arg("-D").arg(folder.join("data"));
    command.args(["--username", USER, "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions"]);
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    template::run(&mut command);
}

/// Debian keeps each version apart; the newest.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort_by_key(|path| version(path).parse::<u32>().unwrap_or(0));
    let initdb = versions.into_iter().rev().map(|path| path.join("initdb"));
    let initdb = program("postgresql", initdb.chain(["/usr/bin/initdb", "/usr/local/bin/initdb"].map(PathBuf::from)));
    initdb.parent().unwrap().to_owned()
}

fn version(binaries: &Path) -> String {
    let version = binaries.parent().and_then(Path::file_name).unwrap_or_default();
    version.to_string_lossy().into_owned()
}

/// PostgreSQL refuses to be run by root.
pub(super) fn user() -> Option<(u32, u32)> {
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let entry = unsafe { libc::getpwnam(c"postgres".as_ptr()).as_ref() };
    let entry = entry.expect("a user that PostgreSQL can be run by: apt-get install postgresql makes one");
    Some((entry.pw_uid, entry.pw_gid))
}

impl Deref for Postgres {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl From<Postgres> for Server {
    fn from(server: Postgres) -> Self {
        server.0
    }
}
