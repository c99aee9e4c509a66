//! The service as a process, and a client that speaks HTTP/1.1 to it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use idem_tests::examples::example;
use idem_tests::server::Postgres;

/// How long a client waits for an answer: longer than the service repeats a transaction.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Where a service keeps its data.
pub(super) enum Home {
    Folder(tempfile::TempDir),
    Server(Postgres),
}

impl Home {
    pub(super) fn sqlite() -> Self {
        Self::Folder(tempfile::tempdir().unwrap())
    }

    pub(super) async fn postgres() -> Self {
        Self::Server(Postgres::start().await)
    }

    pub(super) fn arguments(&self) -> [String; 2] {
        match self {
            Self::Folder(folder) => ["--data".to_owned(), folder.path().display().to_string()],
            Self::Server(server) => ["--store".to_owned(), server.url()],
        }
    }
}

/// A running service. It is killed when this is dropped.
pub(super) struct Service {
    pub(super) child: Child,
    pub(super) client: Client,
}

impl Service {
    /// Starts a service on a free port.
    pub(super) fn start(home: &Home) -> Self {
        Self::start_at(home, 0)
    }

    pub(super) fn start_at(home: &Home, port: u16) -> Self {
        Self::start_with(&home.arguments(), port)
    }

    pub(super) fn start_with(arguments: &[String], port: u16) -> Self {
        let mut command = Command::new(example("ledger"));
        command.args(arguments).arg("--listen").arg(format!("127.0.0.1:{port}"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect("it says where it listens").to_owned();
        Self { child, client: Client(address) }
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) fn interrupt(&self) {
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) }, 0);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client of the service at this address.
#[derive(Clone)]
pub(super) struct Client(pub(super) String);

/// A complete answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.filter(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(super) fn is_replayed(&self) -> bool {
        self.header("Idempotency-Replayed") == Some("true")
    }

    /// Asserts that the answer is the problem of this name, as `application/problem+json`.
    #[track_caller]
    pub(super) fn assert_refused(&self, status: u16, name: &str) {
        assert_eq!((self.status, self.header("content-type")), (status, Some("application/problem+json")), "{self:?}");
        for says in [
            format!(r#"{{"type":"https://ledger.example/problems/{name}","title":""#),
            format!(r#"","status":{status},"detail":""#),
        ] {
            assert!(self.body.contains(&says), "{says} in {self:?}");
        }
    }
}

impl Client {
    pub(super) fn ask(&self, request: &str, headers: &[&str], body: &str) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.0)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!("{request} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}", self.0);
        stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
        match answer.header("content-length") {
            Some(length) if length == body.len().to_string() => Ok(answer),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Posts a transfer, as `curl --json` does.
    pub(super) fn try_post(&self, key: &str, body: &str) -> io::Result<Answer> {
        let key = format!("Idempotency-Key: {key}");
        self.ask("POST /transfers", &[&key, "Content-Type: application/json"], body)
    }

    pub(super) fn post(&self, key: &str, body: &str) -> Answer {
        self.try_post(key, body).unwrap()
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], "").unwrap()
    }

    #[track_caller]
    pub(super) fn assert_holds(&self, account: &str, cents: u32) {
        let answer = self.get(&format!("/accounts/{account}"));
        let body = format!(r#"{{"account":"{account}","cents":{cents}}}"#);
        assert_eq!((answer.status, answer.body), (200, body));
    }
}
