//! What each scenario uses: a broker of its own, a producer, and consumers that can be killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use idem_tests::server::{Postgres, Process, free_port};
use serde::Serialize;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::broker::Place;
use crate::client::Producer;
use crate::consumer::Settings;
use crate::handlers::Handler;
use crate::journal::{Delivery, Journal};
use crate::order::Order;
use crate::shop::{Charge, Shop};

/// How long a scenario waits for an event before it fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// The topic of the orders.
pub const TOPIC: &str = "orders";
/// The consumers' group.
pub const GROUP: &str = "charging";

/// The program of the child processes; given by the test, whose build knows it.
#[derive(Clone, Copy, Debug)]
pub struct Program(pub &'static str);

/// A broker with its topic, a shop, and a journal.
pub struct World {
    producer: Producer,
    broker: Option<Process>,
    program: Program,
    place: Place,
    settings: Settings,
    journal: Journal,
    shop: Shop,
    _server: Option<Postgres>,
    // Dropped last.
    directory: TempDir,
    _data: TempDir,
}

impl World {
    /// Starts one whose consumers use this handler, and whose topic has so many queues.
    ///
    /// # Panics
    ///
    /// As all of these do, where something doesn't work that no scenario is about.
    pub fn start(program: Program, handler: Handler, queues: i32) -> Self {
        let directory = tempfile::Builder::new().prefix("idem-rocketmq-").tempdir().unwrap();
        let (name_server, broker) = ports();
        let data = memory();
        let place = Place { directory: data.path().into(), name_server, broker };
        let server = handler.needs_a_server().then(|| Runtime::new().unwrap().block_on(Postgres::start()));
        let postgres = server.as_ref().map(|server| server.url());
        let settings = Settings {
            handler,
            name_server,
            group: GROUP.into(),
            topic: TOPIC.into(),
            directory: directory.path().into(),
            postgres,
            batch: 1,
            at_once: 8,
            limit: Duration::from_secs(60),
            mended: false,
            retries: 16,
        };
        let process = program.start("broker", &place, &directory.path().join("broker.log"));
        let mut producer = Producer::start(name_server).unwrap();
        producer.create_topic(TOPIC, queues).unwrap();
        let journal = Journal::open(directory.path());
        let shop = Shop::open(directory.path(), settings.postgres.as_deref());
        Self {
            producer,
            broker: Some(process),
            program,
            place,
            settings,
            journal,
            shop,
            _server: server,
            directory,
            _data: data,
        }
    }

    /// Changes how the next consumers are started.
    pub fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Makes the next consumers handle the group's dead letters.
    pub fn read_dead_letters(&mut self) {
        self.settings.topic = format!("%DLQ%{GROUP}");
        self.settings.group = "operator".into();
    }

    /// The folder of the journal, the shop and the store.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The address of the name server.
    pub fn name_server(&self) -> String {
        format!("127.0.0.1:{}", self.place.name_server)
    }

    /// Sends an order as a new message with a new id. Repeats this until a broker confirms it.
    pub fn send(&mut self, order: &Order) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.producer.send(TOPIC, order) {
            assert!(Instant::now() < deadline, "the broker takes no order: {error}");
        }
    }

    /// Starts a consumer.
    pub fn consumer(&self) -> Consumer {
        let log = self.directory().join("consumers.log");
        Consumer(self.program.start("consumer", &self.settings, &log))
    }

    /// Kills the broker and the name server with SIGKILL.
    pub fn kill_broker(&mut self) {
        self.broker = None;
    }

    /// Starts both again, on the same ports and data.
    pub fn restart_broker(&mut self) {
        self.kill_broker();
        let log = self.directory().join("broker.log");
        self.broker = Some(self.program.start("broker", &self.place, &log));
    }

    /// The deliveries so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.journal.deliveries()
    }

    /// The charges so far.
    pub fn charges(&self) -> Vec<Charge> {
        self.shop.charges()
    }

    /// How often each order was charged.
    pub fn charged(&self) -> BTreeMap<String, usize> {
        let mut charged = BTreeMap::new();
        for charge in self.charges() {
            *charged.entry(charge.order).or_default() += 1;
        }
        charged
    }

    /// Waits until this is true of the deliveries.
    pub fn until(&self, what: &str, holds: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let deliveries = self.deliveries();
            if holds(&deliveries) {
                return deliveries;
            }
            assert!(Instant::now() < deadline, "still not: {what}\n{}", self.report());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything that is known about the run, for the message of a failure.
    pub fn report(&self) -> String {
        let deliveries: Vec<String> = self.deliveries().iter().map(|delivery| format!("{delivery:?}")).collect();
        let log = |name| std::fs::read_to_string(self.directory().join(name)).unwrap_or_default();
        format!("{}\n{:?}\n{}{}", deliveries.join("\n"), self.charged(), log("broker.log"), log("consumers.log"))
    }
}

/// A consumer process, killed when it is dropped.
pub struct Consumer(Process);

impl Consumer {
    /// Its process.
    pub fn pid(&mut self) -> u32 {
        self.0.child().id()
    }

    /// `kill -9`.
    pub fn kill(self) {}

    /// Makes it leave its group, and waits until it has ended.
    ///
    /// # Panics
    ///
    /// Where it ends otherwise.
    pub fn leave(mut self) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.0.child().wait().unwrap().success(), "a consumer that didn't leave well");
    }
}

impl Program {
    /// Starts a child process, and waits until it says that it works.
    fn start(self, kind: &str, settings: &impl Serialize, log: &PathBuf) -> Process {
        let output = std::fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
        let mut command = Command::new(self.0);
        command.args([kind, &serde_json::to_string(settings).unwrap()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(output);
        let mut process = Process::spawn(command);
        let mut lines = BufReader::new(process.child().stdout.take().unwrap());
        let mut line = String::new();
        while line.trim() != "READY" {
            line.clear();
            let read = lines.read_line(&mut line).unwrap();
            assert!(read > 0, "no {kind}: {}", std::fs::read_to_string(log).unwrap_or_default());
        }
        // Its further output isn't needed, but it has to be read, as the process would block otherwise.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        process
    }
}

/// A folder for a broker, in memory if possible: a broker accepts no messages while its disk is nine tenths full, and the machine's
/// disk may be.
fn memory() -> TempDir {
    let mut folder = tempfile::Builder::new();
    folder.prefix("idem-rocketmq-");
    folder.tempdir_in("/dev/shm").or_else(|_| folder.tempdir()).unwrap()
}

/// Free ports for a name server and a broker. The broker also uses the ports two below its own and one above.
fn ports() -> (u16, u16) {
    let name_server = free_port();
    loop {
        let ports: [u16; 4] = std::array::from_fn(|_| free_port());
        if ports[3] == ports[0] + 3 {
            return (name_server, ports[2]);
        }
    }
}
