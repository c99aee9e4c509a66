//! The example `ledger`, run as a user would run it, with requests over HTTP.

mod commits;
mod service;

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use idem_tests::examples::{example, workspace};
use idem_tests::server::free_port;

use self::service::{Answer, Home, PATIENCE, Service};

/// A transfer, as JSON.
fn transfer(from: &str, to: &str, cents: u32) -> String {
    format!(r#"{{"from":"{from}","to":"{to}","cents":{cents}}}"#)
}

#[test]
fn a_request_that_is_sent_again_is_replayed() {
    replays(&Home::sqlite());
}

#[tokio::test]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_request_that_is_sent_again_is_replayed_on_postgres() {
    replays(&Home::postgres().await);
}

/// What the book shows.
fn replays(home: &Home) {
    let (key, request) = ("\"invoice-17\"", transfer("alice", "bob", 2_500));
    let receipt = r#"{"transfer":1,"from":"alice","to":"bob","cents":2500}"#;
    let page = std::fs::read_to_string(workspace().join("docs/src/tx.md")).unwrap();
    for shown in [format!("Idempotency-Key: {key}"), request.clone(), receipt.to_owned()] {
        assert!(page.contains(&shown), "the book shows {shown}");
    }

    let service = Service::start(home);
    let client = &service.client;
    let [first, again] = [(); 2].map(|()| client.post(key, &request));
    assert_eq!((first.status, first.body.as_str(), first.is_replayed()), (201, receipt, false));
    assert_eq!((again.status, again.body.as_str(), again.is_replayed()), (201, receipt, true));
    client.assert_holds("alice", 7_500);
    client.assert_holds("bob", 12_500);

    // The same key and the same transfer, written in another way.
    let spaced = r#"{ "cents": 2500, "to": "bob", "from": "alice" }"#;
    assert!(client.post("invoice-17", spaced).is_replayed());

    drop(service);
    let service = Service::start(home);
    assert!(service.client.post(key, &request).is_replayed(), "it is remembered after a restart");
    service.client.assert_holds("alice", 7_500);
}

#[test]
fn of_many_at_once_one_moves_the_money() {
    races(&Home::sqlite());
}

#[tokio::test]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn of_many_at_once_one_moves_the_money_on_postgres() {
    races(&Home::postgres().await);
}

fn races(home: &Home) {
    const RACERS: usize = 32;
    let service = Service::start(home);
    let (client, start) = (&service.client, Barrier::new(RACERS));
    let answers: Vec<Answer> = thread::scope(|scope| {
        let racers = [(); RACERS].map(|()| {
            scope.spawn(|| {
                start.wait();
                client.post("race", &transfer("alice", "carol", 100))
            })
        });
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body), "{answer:?}");
    }
    assert_eq!(answers.iter().filter(|answer| !answer.is_replayed()).count(), 1);
    client.assert_holds("alice", 9_900);
    client.assert_holds("carol", 100);

    // Transfers in opposite directions at the same time don't deadlock.
    thread::scope(|scope| {
        for racer in 0..RACERS {
            let (from, to) = if racer % 2 == 0 { ("alice", "bob") } else { ("bob", "alice") };
            scope.spawn(move || {
                let answer = client.post(&format!("opposite-{racer}"), &transfer(from, to, 10));
                assert_eq!((answer.status, answer.is_replayed()), (201, false), "{answer:?}");
            });
        }
    });
    client.assert_holds("alice", 9_900);
    client.assert_holds("bob", 10_000);
}

#[test]
fn what_is_wrong_is_said() {
    refuses(&Home::sqlite());
}

#[tokio::test]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn what_is_wrong_is_said_on_postgres() {
    refuses(&Home::postgres().await);
}

fn refuses(home: &Home) {
    let service = Service::start(home);
    let client = &service.client;
    let good = &transfer("alice", "bob", 1);

    // What the draft of the Idempotency-Key header demands.
    let json = "Content-Type: application/json";
    client.ask("POST /transfers", &[json], good).unwrap().assert_refused(400, "idempotency-key-missing");
    client.post("", good).assert_refused(400, "idempotency-key-missing");
    for key in ["\"open", "\"a\" \"b\"", "\"a\\\"b\"", &"k".repeat(2_000)] {
        client.post(key, good).assert_refused(400, "idempotency-key-malformed");
    }
    let two = ["Idempotency-Key: a", "Idempotency-Key: b", json];
    client.ask("POST /transfers", &two, good).unwrap().assert_refused(400, "idempotency-key-malformed");

    for (status, body) in [
        (400, r#"{"from":"ali"#),
        (400, ""),
        (422, r#"{"from":"alice","to":"bob"}"#),
        (422, r#"{"from":"alice","to":"bob","cents":-5}"#),
        (422, r#"{"from":"alice","to":"bob","cents":0}"#),
        (422, r#"{"from":"alice","to":"bob","cents":1.5}"#),
        (422, r#"{"from":"alice","to":"bob","cents":99999999999999999999}"#),
        (422, r#"{"from":"alice","to":"b\u0000b","cents":1}"#),
        (422, r#"{"from":"alice","to":"bob","cents":1,"currency":"EUR"}"#),
    ] {
        client.post("bad", body).assert_refused(status, "not-a-transfer");
    }
    let form = ["Idempotency-Key: bad", "Content-Type: application/x-www-form-urlencoded"];
    client.ask("POST /transfers", &form, good).unwrap().assert_refused(415, "not-a-transfer");
    client.post("bad", &" ".repeat(3_000_000)).assert_refused(413, "not-a-transfer");
    client.post("bad", &transfer("alice", "zoe", 1)).assert_refused(422, "unknown-account");
    client.post("bad", &transfer("zoe", "alice", 1)).assert_refused(422, "unknown-account");
    client.post("bad", &transfer("alice", "alice", 1)).assert_refused(422, "to-itself");

    for (path, name) in [
        ("GET /accounts/zoe", "not-found"),
        ("GET /accounts/%00", "not-found"),
        ("GET /accounts/%ff", "not-found"),
        ("GET /nothing", "not-found"),
    ] {
        client.ask(path, &[], "").unwrap().assert_refused(404, name);
    }
    client.get("/transfers").assert_refused(405, "method-not-allowed");

    // None of these refusals was recorded, so the key is still free. The same holds for a transfer that the account can't cover.
    client.post("bad", &transfer("carol", "bob", 1)).assert_refused(422, "insufficient-funds");
    client.assert_holds("bob", 10_000);
    assert_eq!(client.post("gift", &transfer("alice", "carol", 1)).status, 201);
    let answer = client.post("bad", &transfer("carol", "bob", 1));
    assert_eq!((answer.status, answer.is_replayed()), (201, false), "{answer:?}");

    client.post("bad", &transfer("carol", "bob", 2)).assert_refused(422, "idempotency-key-reused");
    client.post("bad", &transfer("carol", "alice", 1)).assert_refused(422, "idempotency-key-reused");
    for (account, cents) in [("alice", 9_999), ("bob", 10_001), ("carol", 0)] {
        client.assert_holds(account, cents);
    }
}

#[test]
fn kill_9_loses_and_repeats_nothing() {
    survives(&Home::sqlite());
}

#[tokio::test]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn kill_9_loses_and_repeats_nothing_on_postgres() {
    survives(&Home::postgres().await);
}

/// Clients that send each transfer until it is acknowledged, while the service is killed and started again.
fn survives(home: &Home) {
    const CLIENTS: usize = 8;
    const EACH: usize = 40;
    const ALL: usize = CLIENTS * EACH;
    let port = free_port();
    let mut service = Service::start_at(home, port);
    let client = service.client.clone();
    let (acknowledged, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let deadline = Instant::now() + 2 * PATIENCE;
    let until_acknowledged = |key: &str| {
        while Instant::now() < deadline {
            match client.try_post(key, &transfer("alice", "bob", 1)) {
                Ok(answer) if answer.status == 201 => {
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    return answer.body;
                }
                // The server rolls back what a killed process left open, but only after a while.
                Ok(answer) => assert!(matches!(answer.status, 409 | 503), "{answer:?}"),
                Err(_) => {
                    lost.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(5));
                }
            }
        }
        panic!("`{key}` was not acknowledged in time");
    };
    let receipts: Vec<(String, String)> = thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|nth| {
            let keys = (0..EACH).map(move |of| format!("{nth}-{of}"));
            scope.spawn(|| keys.map(|key| (until_acknowledged(&key), key)).collect::<Vec<_>>())
        });
        let clients: Vec<_> = clients.collect();
        for round in 1..=4 {
            while acknowledged.load(Ordering::Relaxed) < round * ALL / 5 {
                assert!(Instant::now() < deadline);
                thread::sleep(Duration::from_millis(1));
            }
            service.kill();
            service = Service::start_at(home, port);
        }
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert!(lost.into_inner() > 0, "no request was under way when the service was killed");

    let moved = u32::try_from(ALL).unwrap();
    let different: BTreeSet<&String> = receipts.iter().map(|(receipt, _)| receipt).collect();
    assert_eq!(different.len(), ALL);
    client.assert_holds("alice", 10_000 - moved);
    for (receipt, key) in &receipts {
        let again = client.post(key, &transfer("alice", "bob", 1));
        assert_eq!((again.status, &again.body, again.is_replayed()), (201, receipt, true));
    }
    client.assert_holds("alice", 10_000 - moved);
    client.assert_holds("bob", 10_000 + moved);
}

/// A request waits for another writer of the file. After Ctrl-C, the service ends only when the request is answered.
#[test]
fn ctrl_c_lets_a_request_finish() {
    let home = Home::sqlite();
    let Home::Folder(folder) = &home else { unreachable!() };
    let mut service = Service::start(&home);
    let client = service.client.clone();
    let writer = rusqlite::Connection::open(folder.path().join("ledger.sqlite")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let asked = thread::spawn(move || client.post("last", &transfer("alice", "bob", 1)));
    thread::sleep(Duration::from_millis(300));
    service.interrupt();
    thread::sleep(Duration::from_millis(300));
    assert!(service.child.try_wait().unwrap().is_none(), "a request is under way");
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(asked.join().unwrap().status, 201);
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_keeps_it_from_serving_is_named() {
    let home = Home::sqlite();
    let service = Service::start(&home);
    let [data, folder] = home.arguments();
    for (args, says) in [
        (&["--listen", &service.client.0][..], "in use"),
        (&["--listen", "nowhere"], "--listen"),
        (&["--lisen", "x"], "--lisen"),
        (&["--store", "mysql://user:secret@127.0.0.1:1/db"], "postgres://"),
        (&["--listen", "127.0.0.1:0", "--store", "postgres://user:secret@127.0.0.1:1/db"], "refused"),
        (&["--listen", "127.0.0.1:0", "--data", "/dev/null"], "/dev/null"),
    ] {
        let Output { status, stdout, stderr } =
            Command::new(example("ledger")).args([&data, &folder]).args(args).stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!((status.code(), stdout.as_slice()), (Some(2), &b""[..]), "{stderr}");
        assert!(stderr.contains(says) && !stderr.contains("secret"), "{stderr}");
    }
}
