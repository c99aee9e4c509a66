//! The servers of a store, and sending requests to one of them.

use std::collections::BTreeSet;

use redis::{Cmd, Pipeline, RedisResult, Value};

use super::link::Link;
use super::names;

/// A server that has rows, by host and port. `None` if there is only one server.
pub(super) type Node = Option<(String, u16)>;

/// Which node of a cluster has which slots. Empty if there is only one server.
#[derive(Default)]
pub(super) struct Slots(Vec<Range>);

struct Range {
    first: u16,
    last: u16,
    primary: (String, u16),
}

impl Slots {
    /// The node that has a key.
    pub(super) fn node_of(&self, key: &[u8]) -> Node {
        if self.0.is_empty() {
            return None;
        }
        let slot = names::slot(key);
        self.0.iter().find(|range| (range.first..=range.last).contains(&slot)).map(|range| range.primary.clone())
    }

    /// The servers that have rows, each once.
    pub(super) fn nodes(&self) -> Vec<Node> {
        let primaries: BTreeSet<_> = self.0.iter().map(|range| &range.primary).collect();
        if primaries.is_empty() { vec![None] } else { primaries.into_iter().cloned().map(Some).collect() }
    }

    /// Reads an answer to `CLUSTER SLOTS`. The first server of each range is its primary.
    #[cfg(feature = "redis-cluster")]
    fn parse(answer: &Value) -> Self {
        let Value::Array(ranges) = answer else { return Self::default() };
        let number = |value: Option<&Value>| match value {
            Some(Value::Int(number)) => u16::try_from(*number).ok(),
            _ => None,
        };
        let range = |range: &Value| {
            let Value::Array(range) = range else { return None };
            let Some(Value::Array(server)) = range.get(2) else { return None };
            let Some(Value::BulkString(host)) = server.first() else { return None };
            let primary = (String::from_utf8(host.clone()).ok()?, number(server.get(1))?);
            Some(Range { first: number(range.first())?, last: number(range.get(1))?, primary })
        };
        Self(ranges.iter().filter_map(range).collect())
    }
}

impl Link {
    /// Reads which server has which keys.
    pub(super) async fn slots(&self) -> RedisResult<Slots> {
        match self {
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(_) => Ok(Slots::parse(&self.send(redis::cmd("CLUSTER").arg("SLOTS")).await?)),
            _ => Ok(Slots::default()),
        }
    }

    pub(super) async fn send_to(&self, node: &Node, command: Cmd) -> RedisResult<Value> {
        match (self, node) {
            #[cfg(feature = "redis-cluster")]
            (Self::Cluster(cluster), Some(node)) => cluster.send_to(node, command).await,
            _ => self.send(&command).await,
        }
    }

    pub(super) async fn send_all_to(&self, node: &Node, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        match (self, node) {
            #[cfg(feature = "redis-cluster")]
            (Self::Cluster(cluster), Some(node)) => cluster.send_all_to(node, pipeline).await,
            _ => self.send_all(pipeline).await,
        }
    }

    /// Sends commands for keys of one node on one connection. `key` is one of these keys.
    #[cfg_attr(not(feature = "redis-cluster"), expect(unused_variables, reason = "there is one server only"))]
    pub(super) async fn send_group(&self, key: &[u8], pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        match self {
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.send_all_with(key, pipeline).await,
            _ => self.send_all(pipeline).await,
        }
    }
}
