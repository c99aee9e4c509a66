//! Servers for tests. Each has a port and a folder of its own, and is killed at the latest when the test's process ends.

mod authority;
mod clock;
mod mariadb;
mod nats;
mod pgbouncer;
mod postgres;
mod process;
mod rabbitmq;
mod redis;
mod template;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub use self::{
    authority::Authority, clock::Clock, mariadb::MariaDb, nats::Nats, pgbouncer::PgBouncer, postgres::Postgres,
    process::Process, rabbitmq::RabbitMq, redis::Redis,
};

/// How long a server may take to start until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// The kinds of servers that stores use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Redis.
    Redis,
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    MariaDb,
}

impl Kind {
    /// Starts a server of this kind.
    pub async fn start(self) -> Server {
        match self {
            Self::Redis => Redis::start().await.into(),
            Self::Postgres => Postgres::start().await.into(),
            Self::MariaDb => MariaDb::start().await.into(),
        }
    }
}

/// A server of any kind.
#[derive(Debug)]
pub struct Server {
    // The process comes first, so that it ends before its folder is removed: it could still write there.
    process: Mutex<Option<Process>>,
    directory: TempDir,
    port: u16,
    url: String,
    program: Program,
    clock: OnceLock<Arc<Clock>>,
}

/// The program of a server, and the request that finds out whether the server answers.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    /// The user and the group to run it by, if it refuses to run as the test's own.
    user: Option<(u32, u32)>,
    /// The request that is sent to it, and a text that its answer has to contain.
    hello: (Vec<u8>, &'static [u8]),
}

impl Server {
    async fn start(directory: TempDir, port: u16, url: String, program: Program) -> Self {
        let server = Self { directory, port, url, program, process: Mutex::default(), clock: OnceLock::new() };
        server.restart().await;
        server
    }

    /// The URL for `idem_runtime::connect`; for a broker, the URL for its client.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The port on which it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder, with its data and its log.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Kills it with SIGKILL. Returns once none of its processes is left.
    pub fn kill(&self) {
        drop(self.process.lock().unwrap().take());
    }

    /// Restarts it with a clock that the test moves.
    pub async fn movable_clock(&self) -> Arc<Clock> {
        let clock = Arc::clone(self.clock.get_or_init(|| Arc::new(Clock::new(self.directory()))));
        self.restart().await;
        clock
    }

    /// Starts it with the same port and data, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it doesn't answer in time.
    pub async fn restart(&self) {
        self.kill();
        let deadline = Instant::now() + PATIENCE;
        let mut process = Process::start(&self.program, self.clock.get().map(AsRef::as_ref), &self.log());
        while process.is_running() && Instant::now() < deadline {
            if self.answers().await {
                *self.process.lock().unwrap() = Some(process);
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} doesn't start", self.program.path.display());
    }

    fn log(&self) -> PathBuf {
        self.directory().join("log")
    }

    async fn answers(&self) -> bool {
        let (hello, expected) = &self.program.hello;
        let asked = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.write_all(hello).await?;
            let mut answer = [0; 128];
            let length = stream.read(&mut answer).await?;
            std::io::Result::Ok(answer[..length].windows(expected.len()).any(|part| part == *expected))
        };
        matches!(tokio::time::timeout(Duration::from_secs(1), asked).await, Ok(Ok(true)))
    }
}

/// A test that fails prints what its servers said, and whether one of them has ended by itself.
impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let log = String::from_utf8_lossy(&std::fs::read(self.log()).unwrap_or_default()).into_owned();
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match process.as_mut().map(Process::is_running) {
            Some(true) => "is running",
            Some(false) => "HAS ENDED",
            None => "was stopped by the test",
        };
        eprintln!("{} {state}; its log:\n{log}", self.program.path.display());
    }
}

/// A port that nobody listens on, below the range of outgoing connections. In that range, a client that connects to a server which
/// is down could be given the server's own port, and be connected to itself.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 20_000;
    const PORTS: u32 = 12_000;
    let first = std::process::id().wrapping_mul(37) % PORTS;
    loop {
        let nth = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + ((first + nth) % PORTS) as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A folder for a server, which the server's user can enter.
fn folder(user: Option<(u32, u32)>) -> TempDir {
    let folder = tempfile::Builder::new().prefix("idem-server-").tempdir().unwrap();
    if let Some((user, group)) = user {
        std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).unwrap();
    }
    folder
}

/// The folders to look for programs in: another version of a server is tested by putting it first in `PATH`.
fn in_path(program: &str) -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).collect();
    folders.into_iter().map(move |folder| folder.join(program))
}

/// The first of these programs that is installed.
fn program(package: &str, candidates: impl IntoIterator<Item = PathBuf>) -> PathBuf {
    let found = candidates.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("this test starts a server: apt-get install {package}, or run tests/run"))
}
