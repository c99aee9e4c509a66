//! The example `payments`, run as a user would run it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use idem_tests::examples::{example, workspace};
use idem_tests::server::Kind;

fn sample() -> PathBuf {
    workspace().join("examples/payments/deliveries.jsonl")
}

/// The first lines of the sample.
fn first(lines: usize) -> String {
    fs::read_to_string(sample()).unwrap().split_inclusive('\n').take(lines).collect()
}

/// A data folder of its own.
struct Shop(tempfile::TempDir);

impl Shop {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(example("payments"));
        command.arg("--data").arg(self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the example on the whole sample.
    fn run(&self, args: &[&str]) -> Ran {
        Ran(self.command().args(args).output().unwrap())
    }

    /// Runs the example on this input.
    fn read(&self, input: &str, args: &[&str]) -> Ran {
        let mut child = self.command().args(["--input", "-"]).args(args).stdin(Stdio::piped()).spawn().unwrap();
        // Writing fails if the process crashes before it has read everything.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        Ran(child.wait_with_output().unwrap())
    }

    fn charges(&self) -> usize {
        fs::read_to_string(self.0.path().join("ledger.jsonl")).unwrap().lines().count()
    }
}

struct Ran(Output);

impl Ran {
    fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    fn stdout(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).unwrap()
    }

    fn stderr(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).unwrap()
    }

    fn count(&self, name: &str) -> u64 {
        let counts = self.stdout().lines().filter_map(|line| line.rsplit_once(' '));
        let found: Vec<u64> = counts.filter(|(of, _)| *of == name).map(|(_, count)| count.parse().unwrap()).collect();
        assert_eq!(found.len(), 1, "one line for `{name}` in {self}");
        found[0]
    }

    /// Asserts that each delivery ended once.
    fn assert_adds_up(&self) {
        let ended = self.count("executed") + self.count("replayed") + self.count("refused");
        assert_eq!(ended, self.count("deliveries"), "{self}");
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}{}", self.0.status, self.stdout(), self.stderr())
    }
}

#[test]
fn each_order_is_charged_once_and_a_second_run_executes_nothing() {
    let shop = Shop::new();
    let ran = shop.run(&[]);
    assert_eq!(ran.code(), Some(0), "{ran}");
    ran.assert_adds_up();
    assert_eq!(ran.count("deliveries"), 10_000);
    assert_eq!(ran.count("executed"), 6_000);
    assert_eq!(ran.count("replayed"), 3_800);
    assert!(ran.count("failed and retried") > 0);
    assert_eq!(ran.count("refused"), 200);
    assert_eq!(ran.count("ledger total"), ran.count("expected total"));
    assert_eq!(shop.charges(), 6_000);

    let again = shop.run(&[]);
    assert_eq!(again.code(), Some(0), "{again}");
    again.assert_adds_up();
    assert_eq!(again.count("executed"), 0);
    assert_eq!(again.count("replayed"), 9_800);
    assert_eq!(again.count("ledger total"), ran.count("ledger total"));
    assert_eq!(shop.charges(), 6_000);

    let fresh = shop.read(&first(10), &["--fresh"]);
    assert!(fresh.count("executed") > 0, "{fresh}");
}

/// The same with the keys on a server.
#[tokio::test]
#[ignore = "starts PostgreSQL, MariaDB and Redis: run by tests/run"]
async fn the_keys_can_be_on_a_server() {
    for kind in [Kind::Redis, Kind::Postgres, Kind::MariaDb] {
        let server = kind.start().await;
        let (shop, url, input) = (Shop::new(), server.url(), first(2_000));
        let store = ["--store", &url];
        let ran = shop.read(&input, &store);
        assert_eq!(ran.code(), Some(0), "{ran}");
        ran.assert_adds_up();
        assert_eq!(ran.count("ledger total"), ran.count("expected total"), "{ran}");
        let again = shop.read(&input, &store);
        assert_eq!((again.code(), again.count("executed")), (Some(0), 0), "{again}");
        let fresh = shop.read(&input, &["--store", &url, "--fresh"]);
        assert_eq!((fresh.code(), fresh.count("executed")), (Some(0), ran.count("executed")), "{fresh}");
        let crashed = shop.read(&input, &["--store", &url, "--fresh", "--crash-after", "500"]);
        assert_aborted(&crashed);
        let finished = shop.read(&input, &store);
        assert_eq!(finished.code(), Some(0), "{finished}");
        assert_eq!(finished.count("ledger total"), ran.count("ledger total"), "{finished}");
    }
    let wrong = Shop::new().run(&["--store", "postgres://user:secret@127.0.0.1:1/db"]);
    assert_eq!(wrong.code(), Some(2), "{wrong}");
    assert!(!wrong.stderr().contains("secret"), "{wrong}");
}

#[test]
fn a_run_after_a_crash_finishes_the_work() {
    let (shop, input) = (Shop::new(), first(500));
    let crashed = shop.read(&input, &["--crash-after", "100"]);
    assert_aborted(&crashed);
    let charged = shop.charges();
    assert!(charged >= 100, "{charged} charges were made before the crash");

    let ran = shop.read(&input, &[]);
    assert_eq!(ran.code(), Some(0), "{ran}");
    ran.assert_adds_up();
    assert!(ran.count("executed") > 0, "{ran}");
    assert!(ran.count("in flight") > 0, "the keys of the crashed process are held until its leases end: {ran}");
    assert_eq!(ran.count("ledger total"), ran.count("expected total"));
    assert!(ran.stderr().contains("recognised"), "the order of handler 100 was charged before: {ran}");

    let again = shop.read(&input, &[]);
    assert_eq!(again.count("executed"), 0, "{again}");
}

#[test]
fn without_a_derived_key_a_crash_repeats_a_charge() {
    let (shop, input) = (Shop::new(), first(500));
    assert_aborted(&shop.read(&input, &["--no-derived-key", "--crash-after", "100"]));

    let ran = shop.read(&input, &["--no-derived-key"]);
    assert_eq!(ran.code(), Some(1), "{ran}");
    ran.assert_adds_up();
    assert!(ran.count("ledger total") > ran.count("expected total"), "{ran}");
    assert!(ran.stderr().contains("charged more than once"), "{ran}");
}

#[test]
fn two_processes_share_the_work() {
    let shop = Shop::new();
    // With fewer orders, one process would end before the other has begun.
    let both = [(); 2].map(|()| shop.command().spawn().unwrap());
    let [one, two] = both.map(|child| Ran(child.wait_with_output().unwrap()));
    for ran in [&one, &two] {
        assert_eq!(ran.code(), Some(0), "{ran}");
        ran.assert_adds_up();
        assert_eq!(ran.count("ledger total"), ran.count("expected total"));
    }
    assert_eq!(one.count("executed") + two.count("executed"), 6_000, "{one}{two}");
    assert_eq!(shop.charges(), 6_000);
}

#[test]
fn an_unreadable_line_is_named_and_the_others_are_handled() {
    let shop = Shop::new();
    let input = "{\"message\":\"1\",\"order\":{\"id\":\"a\",\"cents\":5}}\n\n{\"message\":\"2\"\n\
                 {\"message\":\"3\",\"order\":{\"id\":\"b\",\"cents\":7}}\n{\"message\":\"4\",\"order\":{\"cents\":7}}";
    let ran = shop.read(input, &[]);
    assert_eq!(ran.code(), Some(1), "{ran}");
    ran.assert_adds_up();
    assert_eq!(
        ["deliveries", "executed", "refused", "ledger total", "expected total"].map(|name| ran.count(name)),
        [4, 2, 2, 12, 12]
    );
    assert!(ran.stderr().contains("line 3 is no delivery"), "{ran}");
}

#[test]
fn the_sample_is_what_is_generated() {
    let generated = Shop::new().run(&["--generate", "-"]);
    assert!(generated.stdout() == fs::read_to_string(sample()).unwrap(), "run `payments --generate` and commit");
}

#[test]
fn a_wrong_option_is_named() {
    for (args, says) in [
        (&["--inptu", "x"][..], "--inptu"),
        (&["--concurrency", "0"], "from 1 to 1000"),
        (&["--crash-after", "x"], "from 1 on"),
        (&["--input", "no-such-file"], "no-such-file"),
    ] {
        let ran = Shop::new().run(args);
        assert_eq!((ran.code(), ran.stdout()), (Some(2), ""), "{ran}");
        assert!(ran.stderr().contains(says), "{ran}");
    }
}

fn assert_aborted(ran: &Ran) {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        const SIGABRT: i32 = 6;
        assert_eq!(ran.0.status.signal(), Some(SIGABRT), "{ran}");
    }
    assert!(!ran.0.status.success(), "{ran}");
    assert_eq!(ran.stdout(), "", "no counts of a run that did not end");
}
