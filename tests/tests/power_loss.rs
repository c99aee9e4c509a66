//! Power loss: everything that was acknowledged before it is there afterwards.
//!
//! A VFS logs what a run does to its files. The log is then cut at a thousand points. For each, the test makes the files as the disk
//! may hold them: with everything that was synced, and with nothing or any part of what was not. A store opens these files, and the
//! test looks for everything that was acknowledged before the cut.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use idem_runtime::store::{ClaimAnswer, ClaimRequest, CompleteRequest, Durability, Key, Owner, Record, Standing};
use idem_runtime::{IdempotencyStore, SqliteStore};
use idem_tests::rng::Rng;
use idem_tests::vfs::{self, Event};
use rusqlite::{Connection, OpenFlags};

const KEYS: u64 = 640;
const CALLERS: u64 = 8;
const LEASE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The marks in the log: `PARKED + key` where the claim of a key with `on_crash = "park"` was acknowledged, `DONE + key` where the
/// completion of a key was.
const PARKED: u64 = 1 << 32;
const DONE: u64 = 2 << 32;
/// The size of a sector: the disk keeps or loses a sector as a whole.
const SECTOR: usize = 512;

fn key(number: u64) -> Key {
    Key::from_bytes(format!("order-{number}").as_bytes()).unwrap()
}

/// Records of different lengths, so that some need pages of their own.
fn record(number: u64) -> Record {
    let length = if number.is_multiple_of(16) { 9_000 } else { 40 + number % 200 };
    Record::from_bytes(
        format!("result of {number} ").bytes().cycle().take(length as usize).collect::<Vec<_>>().as_slice(),
    )
}

/// Every other key parks, so its orphan would be kept for ever.
fn claim(number: u64, key: &Key) -> ClaimRequest<'_> {
    let mut claim = ClaimRequest::new("charge", key, Owner::random(), LEASE);
    claim.retain = number.is_multiple_of(2).then_some(DAY);
    claim
}

/// Executes all keys. Returns the log of what was done to the files, with the marks.
async fn recorded_run(path: &Path, durability: Durability, marks: u64) -> Vec<Event> {
    vfs::watch(path.parent().unwrap());
    let store = SqliteStore::options().durability(durability).open(path).await.unwrap();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in (caller..KEYS).step_by(CALLERS as usize) {
                    let key = key(number);
                    let claim = claim(number, &key);
                    let ClaimAnswer::Acquired(grant) = store.claim(claim).await.unwrap() else { panic!("acquired") };
                    if claim.retain.is_none() {
                        vfs::mark(marks | PARKED | number);
                    }
                    let record = record(number);
                    let complete = CompleteRequest::new(&claim, grant.fence, &record, DAY);
                    assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
                    vfs::mark(marks | DONE | number);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let directory = path.parent().unwrap().to_str().unwrap();
    let of_this_run = |event: &Event| match event {
        Event::Write { file, .. }
        | Event::Truncate { file, .. }
        | Event::Sync { file }
        | Event::Delete { file, .. } => file.starts_with(directory),
        Event::Mark(mark) => mark & MARKS == marks,
    };
    vfs::events().into_iter().filter(of_this_run).collect()
}

/// The part of a mark that identifies the run.
const MARKS: u64 = 0xffff << 48;

/// A file as the disk may hold it: what was synced, and the writes since then, of which any part may be there.
#[derive(Clone, Debug, Default)]
struct OnDisk {
    synced: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, data: Box<[u8]> },
    Truncate { length: usize },
    Delete,
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => write(file, *offset, data),
            Self::Truncate { length } => file.truncate(*length),
            Self::Delete => file.clear(),
        }
    }

    /// Applies a write that was not synced: all of it, none of it, or some of its sectors.
    fn apply_in_part(&self, file: &mut Vec<u8>, rng: &mut Rng) {
        match (self, rng.below(3)) {
            (_, 0) => {}
            (Self::Write { offset, data }, 1) => {
                for (nth, sector) in data.chunks(SECTOR).enumerate() {
                    if rng.below(2) == 0 {
                        write(file, offset + nth * SECTOR, sector);
                    }
                }
            }
            _ => self.apply(file),
        }
    }
}

fn write(file: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(data);
}

impl OnDisk {
    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.synced);
        }
    }

    /// The content of the file after the power loss.
    fn after_the_cut(&self, survival: Survival, rng: &mut Rng) -> Vec<u8> {
        let mut file = self.synced.clone();
        match survival {
            Survival::Nothing => {}
            Survival::Parts => {
                for change in &self.pending {
                    change.apply_in_part(&mut file, rng);
                }
            }
        }
        file
    }
}

/// What the disk keeps of writes that were not synced.
#[derive(Clone, Copy, Debug)]
enum Survival {
    Nothing,
    Parts,
}

/// The result of checking the files of many cuts.
#[derive(Debug, Default)]
struct Findings {
    cuts: usize,
    corrupted: Vec<String>,
    lost: Vec<String>,
    /// How many acknowledged requests were looked for.
    looked_for: usize,
}

impl Findings {
    fn is_clean(&self) -> bool {
        self.corrupted.is_empty() && self.lost.is_empty()
    }
}

/// Cuts a run at `cuts` random points, and checks what is left. `heeds_syncs`: whether the disk writes what is synced.
async fn cut(events: &[Event], cuts: usize, heeds_syncs: bool, stop_at_first: bool) -> Findings {
    let mut rng = Rng::new(2026);
    // Every early point, where the file is created, and random later ones.
    let mut points: Vec<usize> = (0..cuts).map(|_| rng.below(events.len() as u64 + 1) as usize).collect();
    for (nth, point) in points.iter_mut().take(cuts / 10).enumerate() {
        *point = nth / 2;
    }
    points.sort_unstable();

    let directory = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "." }).unwrap();
    let mut files: BTreeMap<Arc<str>, OnDisk> = BTreeMap::new();
    let mut acknowledged = Vec::new();
    let mut findings = Findings::default();
    let mut seen = 0;
    for (nth, point) in points.into_iter().enumerate() {
        for event in &events[seen..point] {
            match event {
                Event::Mark(mark) => acknowledged.push(mark & !MARKS),
                Event::Write { file, offset, data } => {
                    let change = Change::Write { offset: *offset as usize, data: data.clone() };
                    files.entry(Arc::clone(file)).or_default().pending.push(change);
                }
                Event::Truncate { file, length } => {
                    let change = Change::Truncate { length: *length as usize };
                    files.entry(Arc::clone(file)).or_default().pending.push(change);
                }
                Event::Sync { file } if heeds_syncs => files.entry(Arc::clone(file)).or_default().sync(),
                Event::Sync { .. } => {}
                Event::Delete { file, synced } => {
                    let on_disk = files.entry(Arc::clone(file)).or_default();
                    on_disk.pending.push(Change::Delete);
                    if *synced && heeds_syncs {
                        on_disk.sync();
                    }
                }
            }
        }
        seen = point;
        let survival = if nth.is_multiple_of(2) { Survival::Nothing } else { Survival::Parts };
        let home = directory.path().join(nth.to_string());
        std::fs::create_dir(&home).unwrap();
        for (file, on_disk) in &files {
            let content = on_disk.after_the_cut(survival, &mut rng);
            if !content.is_empty() {
                std::fs::write(home.join(Path::new(&**file).file_name().unwrap()), content).unwrap();
            }
        }
        findings.cuts += 1;
        look(&home.join("idem.sqlite"), &acknowledged, &mut findings, &format!("cut {nth} at {point}, {survival:?}"))
            .await;
        let _ = std::fs::remove_dir_all(&home);
        if stop_at_first && !findings.is_clean() {
            break;
        }
    }
    findings
}

/// Opens the files that are left, and looks for everything that was acknowledged.
async fn look(path: &Path, acknowledged: &[u64], findings: &mut Findings, at: &str) {
    let store = match SqliteStore::options().readers(1).sweep_interval(None).open(path).await {
        Ok(store) => store,
        Err(error) => return findings.corrupted.push(format!("{at}: {error}")),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).unwrap();
    let integrity: rusqlite::Result<String> = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    if integrity.as_deref() != Ok("ok") {
        return findings.corrupted.push(format!("{at}: {integrity:?}"));
    }
    let mut rows: BTreeMap<Vec<u8>, (i64, Option<Vec<u8>>)> = BTreeMap::new();
    let mut statement = connection.prepare("SELECT key, state, record FROM idem_keys").unwrap();
    let mut found = statement.query([]).unwrap();
    while let Some(row) = found.next().unwrap() {
        rows.insert(row.get(0).unwrap(), (row.get(1).unwrap(), row.get(2).unwrap()));
    }
    findings.looked_for += acknowledged.len();
    for mark in acknowledged {
        let number = mark & 0xffff_ffff;
        let row = rows.get(key(number).as_bytes());
        let there = match row {
            // An acknowledged claim: its key may have been completed since.
            Some((1, None)) => mark & DONE == 0,
            Some((5, Some(result))) => result == record(number).as_bytes(),
            _ => false,
        };
        if !there {
            findings
                .lost
                .push(format!("{at}: {number} was acknowledged ({mark:#x}), and is {:?}", row.map(|row| row.0)));
        }
    }
    // The last keys are the ones at risk: they are also looked for through a store.
    for mark in acknowledged.iter().rev().filter(|mark| *mark & DONE != 0).take(3) {
        let number = mark & 0xffff_ffff;
        let answer = store.claim(claim(number, &key(number))).await;
        if !matches!(&answer, Ok(ClaimAnswer::Completed(result)) if *result == record(number)) {
            findings.lost.push(format!("{at}: the store answers {answer:?} to {number}"));
        }
    }
}

fn cuts(all: usize) -> usize {
    std::env::var("IDEM_POWER_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r14_what_was_acknowledged_survives_a_power_loss() {
    let directory = tempfile::tempdir().unwrap();
    let events = recorded_run(&directory.path().join("idem.sqlite"), Durability::PowerLoss, 1 << 48).await;
    let (mut writes, mut syncs, mut checkpoints) = (0, 0, 0);
    for event in &events {
        match event {
            Event::Write { .. } => writes += 1,
            Event::Sync { file } if file.ends_with("-wal") => syncs += 1,
            Event::Sync { .. } => checkpoints += 1,
            _ => {}
        }
    }
    let findings = cut(&events, cuts(1_000), true, false).await;
    println!(
        "{KEYS} executions, {writes} writes, {syncs} syncs of the log, {checkpoints} of the database; {} cuts, {} \
         acknowledgements looked for",
        findings.cuts, findings.looked_for
    );
    assert!(checkpoints > 1, "the run goes through a checkpoint");
    assert!(findings.looked_for > findings.cuts * 100);
    assert!(findings.is_clean(), "{:#?} {:#?}", findings.corrupted, &findings.lost[..findings.lost.len().min(9)]);
}

/// Shows that the test above can fail: it does with a disk that only claims to sync.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_ignores_syncs_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let events = recorded_run(&directory.path().join("idem.sqlite"), Durability::PowerLoss, 2 << 48).await;
    assert!(!cut(&events, 20, false, true).await.is_clean());
}

/// It also fails with a store that doesn't sync (`Durability::ProcessCrash`). Its file stays intact all the same, as that setting
/// promises.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_only_survives_a_crash_of_its_process_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let events = recorded_run(&directory.path().join("idem.sqlite"), Durability::ProcessCrash, 3 << 48).await;
    let findings = cut(&events, 100, true, false).await;
    assert!(!findings.lost.is_empty());
    assert!(findings.corrupted.is_empty(), "{:#?}", findings.corrupted);
}
