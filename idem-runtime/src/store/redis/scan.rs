//! Going through every row.

use std::collections::VecDeque;
use std::time::SystemTime;

use redis::Value;

use super::failure::Failure;
use super::nodes::Node;
use super::{Shared, names, rows};
use crate::admin::{Entry, Stats};
use crate::protocol::Micros;
use crate::store::Key;

/// How many keys of the server one round trip goes through.
const STEP: u32 = 1_000;

/// Where a pass through all rows is.
pub(super) struct Scan<'s> {
    shared: &'s Shared,
    pattern: Vec<u8>,
    /// The server that is gone through, and those to come.
    nodes: VecDeque<Node>,
    cursor: Vec<u8>,
    /// The server that was gone through last.
    last: Node,
}

impl Shared {
    /// Begins a pass through the rows of a scope, or all of them.
    pub(super) async fn scan(&self, scope: Option<&str>) -> Result<Scan<'_>, Failure> {
        let pattern = names::pattern(&self.prefix, scope);
        let nodes = self.links.operators.slots().await?.nodes();
        Ok(Scan { shared: self, pattern, nodes: nodes.into(), cursor: b"0".to_vec(), last: None })
    }
}

impl Shared {
    /// Asks each server for its time.
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
    /// The next few rows' scopes and keys, perhaps none; `None` at the end.
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
            // What begins alike and is no row is someone else's.
            Value::BulkString(name) => names::parse(&self.shared.prefix, &name),
            _ => None,
        });
        Ok(Some(keys.collect()))
    }

    /// The rows of those that [`next`](Self::next) found, except where they have expired since.
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
        // One of them may be no string.
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

/// The answer to `TIME`.
fn micros(time: &Value) -> Option<Micros> {
    let Value::Array(parts) = time else { return None };
    let number = |nth: usize| match parts.get(nth)? {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    Some(number(0)? * 1_000_000 + number(1)?)
}
