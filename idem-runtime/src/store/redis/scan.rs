//! Reading all rows.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

use redis::Value;

use super::failure::Failure;
use super::nodes::Node;
use super::{Shared, names, rows};
use crate::protocol::Micros;
use crate::store::Key;
use crate::store::admin::{Entry, Stats};

/// How many of the server's keys one `SCAN` walks. The server does nothing else meanwhile.
const STEP: u32 = 100;

/// A pass through all rows.
pub(super) struct Scan<'s> {
    shared: &'s Shared,
    scope: Option<&'s str>,
    pattern: Vec<u8>,
    /// The server that is being read, and those after it.
    nodes: VecDeque<Node>,
    cursor: Vec<u8>,
    /// The server of the last answer.
    last: Node,
}

impl Shared {
    /// Begins a pass through the rows of a scope, or through all rows.
    pub(super) async fn scan<'s>(&'s self, scope: Option<&'s str>) -> Result<Scan<'s>, Failure> {
        let pattern = names::pattern(&self.prefix, scope);
        let nodes = self.links.operators.slots().await?.nodes();
        Ok(Scan { shared: self, scope, pattern, nodes: nodes.into(), cursor: b"0".to_vec(), last: None })
    }

    /// Asks each server for its time, and compares it with this process's.
    pub(super) async fn compare_clocks(&self, stats: &mut Stats) -> Result<(), Failure> {
        for node in self.links.operators.slots().await?.nodes() {
            let asked = SystemTime::now();
            let time = self.links.operators.send_to(&node, redis::cmd("TIME")).await?;
            stats.compare_clock(micros(&time).ok_or(Failure::Answer)?, asked);
        }
        Ok(())
    }
}

impl Scan<'_> {
    /// The scopes and keys of the next few rows, which may be none; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<(String, Key)>>, Failure> {
        let Some(node) = self.nodes.front().cloned() else { return Ok(None) };
        let mut command = redis::cmd("SCAN");
        command.arg(&self.cursor).arg("MATCH").arg(&self.pattern).arg("COUNT").arg(STEP);
        let answer = self.shared.links.operators.send_to(&node, command).await?;
        let Value::Array(mut parts) = answer else { return Err(Failure::Answer) };
        let (Some(Value::Array(found)), Some(Value::BulkString(cursor))) = (parts.pop(), parts.pop()) else {
            return Err(Failure::Answer);
        };
        if cursor == b"0" {
            self.nodes.pop_front();
        }
        (self.cursor, self.last) = (cursor, node);
        let keys = found.into_iter().filter_map(|name| match name {
            // A name with the prefix that is no row's belongs to someone else.
            Value::BulkString(name) => names::parse(&self.shared.prefix, &name),
            _ => None,
        });
        Ok(Some(keys.filter(|(scope, _)| self.scope.is_none_or(|wanted| wanted == scope)).collect()))
    }

    /// Reads the rows of the keys that [`next`](Self::next) found, without those that have expired since.
    pub(super) async fn read(&self, keys: Vec<(String, Key)>) -> Result<Vec<Entry>, Failure> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        pipeline.cmd("TIME");
        for (scope, key) in &keys {
            let name = self.shared.name(scope, key);
            pipeline.cmd("GETRANGE").arg(&name).arg(0).arg(rows::LONGEST).cmd("EXISTS").arg(&name);
        }
        // A value may be no string.
        pipeline.ignore_errors();
        let mut answers = self.shared.links.operators.send_all_to(&self.last, &pipeline).await?.into_iter();
        let now = answers.next().and_then(|time| micros(&time)).ok_or(Failure::Answer)?;
        let mut entries = Vec::new();
        for (scope, key) in keys {
            let row = match (answers.next(), answers.next()) {
                // Expired.
                (Some(Value::BulkString(row)), Some(Value::Int(0))) if row.is_empty() => continue,
                (Some(Value::BulkString(row)), _) => row,
                (Some(Value::ServerError(error)), _) => return Err(Failure::Redis(error.into()).of(&scope, &key)),
                _ => return Err(Failure::Answer),
            };
            let (row, _) = rows::row(&row).map_err(|field| Failure::corrupt(&scope, &key, field.0))?;
            entries.push(Entry::new(scope, key, row, now));
        }
        Ok(entries)
    }
}

/// The keys that a pass has shown. `SCAN` can return a key twice if the server's table shrinks meanwhile.
///
/// It stores their hashes: among a million keys, two have the same hash once in thirty million passes.
#[derive(Default)]
pub(super) struct Shown {
    hasher: RandomState,
    latest: HashSet<u64>,
    earlier: HashSet<u64>,
}

impl Shown {
    /// It remembers at least this many of the latest keys. A megabyte holds some 50,000.
    const REMEMBERED: usize = 1 << 19;

    /// Adds a key. Returns whether the key is new, as far as is remembered.
    pub(super) fn is_new(&mut self, scope: &str, key: &Key) -> bool {
        let hash = self.hasher.hash_one((scope, key.as_bytes()));
        if self.earlier.contains(&hash) || !self.latest.insert(hash) {
            return false;
        }
        if self.latest.len() >= Self::REMEMBERED {
            self.earlier = std::mem::take(&mut self.latest);
        }
        true
    }
}

/// Reads the answer to `TIME`.
pub(super) fn micros(time: &Value) -> Option<Micros> {
    let Value::Array(parts) = time else { return None };
    let number = |nth: usize| match parts.get(nth)? {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    Some(number(0)? * 1_000_000 + number(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_new_once_as_far_as_is_remembered() {
        let mut shown = Shown::default();
        let mut is_new = |number: usize| shown.is_new("s", &Key::from_bytes(&number.to_be_bytes()).unwrap());
        for number in 0..Shown::REMEMBERED + 10 {
            assert!(is_new(number));
            assert!(!is_new(number) && !is_new(number / 2), "{number}");
        }
        for number in 0..Shown::REMEMBERED {
            is_new(Shown::REMEMBERED + 10 + number);
        }
        assert!(is_new(0), "in bounded memory");
    }
}
