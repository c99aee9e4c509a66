//! Checks a history.
//!
//! A grant is identified by its key and its fence. Fences are times of the server's clock, which is this machine's. So they can be
//! compared with the times at which requests were sent: a renewed lease lasts at least for its length from the sending of the
//! renewal, however long its process was stopped since. A grant is missing in the history if its process was killed before it could
//! write it. This doesn't matter: such a grant can only mean that the holder before it ended earlier than the next known grant.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::{Kind, Line};

/// How far the server's time may lie behind the arrival of a request: Redis reads its clock once per turn of its event loop.
const SLACK: u64 = 20_000;

/// What was counted in a history.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) starts: usize,
    pub(crate) executed: usize,
    pub(crate) replays: usize,
    pub(crate) in_progress: usize,
    pub(crate) takeovers: usize,
    /// Bodies that were still running when the body of the next holder started.
    pub(crate) overlaps: usize,
    pub(crate) renewals: usize,
    pub(crate) lost_leases: usize,
    pub(crate) refused_endings: usize,
    pub(crate) failures: usize,
    pub(crate) drops: usize,
    pub(crate) not_recorded: usize,
    pub(crate) store_errors: usize,
}

/// A claim that was granted, and what its holder did with it.
#[derive(Debug)]
struct Grant<'a> {
    line: Line<'a>,
    /// The fence of the holder that died before it, or 0.
    after_crash: u64,
    started: Option<Line<'a>>,
    ended: Option<Line<'a>>,
    /// When the last renewal was sent that the store granted.
    renewed: Option<u64>,
    completed: bool,
    /// The first request to release the key.
    releasing: Option<Line<'a>>,
    /// Whether the store granted that request, or a later one.
    released: bool,
}

/// Checks every rule. The error is the first that was broken. `recorded` holds the results that are replayed in the end.
pub(crate) fn check(history: &str, recorded: &BTreeMap<String, String>, lease: Duration) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let mut keys: BTreeMap<&str, BTreeMap<u64, Grant<'_>>> = BTreeMap::new();
    let mut executed: BTreeMap<&str, Line<'_>> = BTreeMap::new();
    for (number, line) in history.lines().enumerate() {
        let line = Line::parse(number + 1, line)?;
        counts.count(&line);
        match line.kind {
            Kind::Granted => grant(keys.entry(line.key).or_default(), line)?,
            Kind::Executed | Kind::Replayed => {
                let record = recorded.get(line.key).map(String::as_str);
                if record != Some(line.rest) {
                    return Err(format!("{line:?} returned what is not recorded: {record:?}"));
                }
                if line.kind == Kind::Executed && executed.insert(line.key, line).is_some() {
                    return Err(format!("{line:?}: the key was completed twice"));
                }
            }
            Kind::Failed => return Err(format!("{line:?}: no call may end so")),
            Kind::Releasing if line.words().1 == "NotRun" => {
                let grants = keys.get_mut(line.key).into_iter().flat_map(BTreeMap::values_mut);
                let mut own = grants.filter(|grant| grant.line.words().0 == line.words().0);
                if let Some(grant) = own.next() {
                    grant.releasing.get_or_insert(line);
                }
            }
            Kind::Released if line.rest == "NotRun" => {}
            Kind::Renewed
            | Kind::Completing
            | Kind::Completed
            | Kind::Releasing
            | Kind::Released
            | Kind::Start
            | Kind::End => {
                let grant = keys.get_mut(line.key).and_then(|grants| grants.get_mut(&line.fence));
                let grant = grant.ok_or_else(|| format!("{line:?}: nothing was granted"))?;
                grant.hears(line)?;
            }
            _ => {}
        }
    }
    for (key, grants) in &keys {
        let record = recorded.get(*key).ok_or_else(|| format!("{key} was never completed"))?;
        let fence = record.split(':').nth(1).and_then(|fence| fence.parse().ok());
        let fence = fence.ok_or_else(|| format!("{key}: {record}"))?;
        counts.overlaps += check_key(grants, fence, lease)?;
    }
    Ok(counts)
}

fn grant<'a>(grants: &mut BTreeMap<u64, Grant<'a>>, line: Line<'a>) -> Result<(), String> {
    let (owner, after_crash) = line.words();
    let after_crash = after_crash.parse().map_err(|_| format!("{line:?}"))?;
    let grant = Grant {
        line,
        after_crash,
        started: None,
        ended: None,
        renewed: None,
        completed: false,
        releasing: None,
        released: false,
    };
    match grants.insert(line.fence, grant) {
        Some(other) if other.line.words().0 != owner => Err(format!("{line:?}: the fence is another's: {other:?}")),
        _ => Ok(()),
    }
}

impl<'a> Grant<'a> {
    fn hears(&mut self, line: Line<'a>) -> Result<(), String> {
        match line.kind {
            Kind::Renewed => {
                let sent = line.rest.parse().map_err(|_| format!("{line:?}"))?;
                self.renewed = self.renewed.max(Some(sent));
            }
            Kind::Completed => self.completed = true,
            Kind::Releasing => drop(self.releasing.get_or_insert(line)),
            Kind::Released => self.released = true,
            Kind::Start if self.started.is_some() => return Err(format!("{line:?}: the body ran twice in one claim")),
            Kind::Start => self.started = Some(line),
            Kind::End => self.ended = Some(line),
            _ => {}
        }
        Ok(())
    }

    /// The earliest time at which the lease can be over.
    fn promised(&self, lease: Duration) -> u64 {
        self.renewed.unwrap_or(0).max(self.line.fence) + lease.as_micros() as u64
    }
}

/// Checks every grant of one key against the next, in the order of their fences. Returns the number of overlaps, which are allowed.
fn check_key(grants: &BTreeMap<u64, Grant<'_>>, recorded: u64, lease: Duration) -> Result<usize, String> {
    let mut overlaps = 0;
    let mut next = grants.values().skip(1);
    for grant in grants.values() {
        if grant.line.fence > recorded {
            return Err(format!("{grant:?} was granted though fence {recorded} completed the key"));
        }
        if grant.completed && grant.line.fence != recorded {
            return Err(format!("{grant:?} was completed, and replaced by the record of fence {recorded}"));
        }
        let Some(next) = next.next() else { continue };
        // The key was released if the request to release it was sent before the next grant was answered. That grant's fence doesn't
        // tell: a server may read its clock before it waits for the row, so the fence can be earlier than the release.
        let let_go = grant.releasing.is_some_and(|releasing| releasing.time <= next.line.time);
        if !let_go && next.line.fence + SLACK < grant.promised(lease) {
            return Err(format!("{next:?} was granted within the lease of {grant:?}"));
        }
        if grant.renewed.is_some_and(|sent| sent > next.line.fence + SLACK) {
            return Err(format!("{grant:?} had lost its lease to {next:?}, and could still renew it"));
        }
        if grant.released && grant.releasing.is_some_and(|releasing| releasing.number > next.line.number) {
            return Err(format!("{grant:?} had lost its lease to {next:?}, and could still release it"));
        }
        if grant.started.is_some() && grant.releasing.is_none() && next.after_crash == 0 {
            return Err(format!("{next:?} was not told that {grant:?} died"));
        }
        let ended = grant.ended.map_or(0, |ended| ended.time);
        overlaps += usize::from(next.started.is_some_and(|started| started.time < ended));
    }
    let last =
        grants.get(&recorded).ok_or_else(|| format!("fence {recorded} completed a key that it was not granted"))?;
    match last.ended {
        Some(ended) if ended.process == last.line.process => Ok(overlaps),
        _ => Err(format!("{last:?} completed a key without having run")),
    }
}

impl Counts {
    fn count(&mut self, line: &Line<'_>) {
        let counter = match line.kind {
            Kind::Start => &mut self.starts,
            Kind::Executed => &mut self.executed,
            Kind::Replayed => &mut self.replays,
            Kind::InProgress => &mut self.in_progress,
            Kind::Granted if line.words().1 != "0" => &mut self.takeovers,
            Kind::Renewed => &mut self.renewals,
            Kind::LeaseLost => &mut self.lost_leases,
            Kind::Refused => &mut self.refused_endings,
            Kind::Declined => &mut self.failures,
            Kind::Dropped => &mut self.drops,
            Kind::NotRecorded => &mut self.not_recorded,
            Kind::Unanswered => &mut self.store_errors,
            _ => return,
        };
        *counter += 1;
    }
}
