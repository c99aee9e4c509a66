//! What is looked at when a store is opened.

use std::sync::atomic::Ordering;

use redis::{RedisResult, Value};

use super::Shared;
use super::confirmation::Confirmation;
use super::failure::{Failure, STORE};
use super::groups::Groups;
use super::link::Link;
use super::script::HANDLERS;
use crate::error::Error;

impl Shared {
    /// Reaches the server and those who are to confirm what it writes, has it keep the scripts of handlers that it is to
    /// serve, and warns where it may evict rows.
    pub(super) async fn check(&self, serves: bool) -> Result<(), Error> {
        let link = &self.links.handlers;
        let reached = link.send(&redis::cmd("PING")).await;
        reached.map_err(|error| Error::Config {
            message: "the Redis server can't be reached, or refuses this client".to_owned(),
            source: Some(Failure::Redis(error).into()),
        })?;
        if let Some(groups) = &self.groups {
            self.try_out(groups).await.map_err(|failure| Error::Config {
                message: groups.confirmation.refusal().to_owned(),
                source: Some(failure.into()),
            })?;
        }
        for script in HANDLERS.into_iter().filter(|_| serves) {
            // Where that is not allowed, the first request sends it.
            let _ = link.send(&script.load()).await;
        }
        self.warn_of_eviction().await;
        Ok(())
    }

    /// Warns once where the server evicts keys. Looked at again where a row has gone: settings can be changed.
    pub(super) async fn warn_of_eviction(&self) {
        if self.told_of_eviction.load(Ordering::Relaxed) {
            return;
        }
        // Where that is not allowed, nobody can say.
        let Ok(texts) = self.links.handlers.info("memory").await else { return };
        if let Some(policy) = texts.iter().find_map(|text| evicts(text))
            && !self.told_of_eviction.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                policy,
                store = STORE,
                "the server evicts keys when its memory is full, and an evicted key runs again: set \
                 `maxmemory-policy noeviction`, or give the store a server of its own"
            );
        }
    }

    /// Has nothing confirmed, by as many as are to confirm every write.
    async fn try_out(&self, groups: &Groups) -> Result<(), Failure> {
        for node in groups.find_nodes().await? {
            let confirmed = self.links.confirmed.send_to(&node, groups.confirmation.command()).await?;
            Failure::shortfall(groups.confirmation, &confirmed).map_or(Ok(()), Err)?;
        }
        Ok(())
    }
}

impl Link {
    /// What the server tells of itself: a cluster gives a text for each node.
    async fn info(&self, section: &str) -> RedisResult<Vec<String>> {
        let mut texts = Vec::new();
        collect(&self.send(redis::cmd("INFO").arg(section)).await?, &mut texts);
        Ok(texts)
    }

    /// Whether another connection leads to the same server or cluster.
    pub(super) async fn leads_where(&self, other: &Self) -> bool {
        let (Ok(here), Ok(there)) = (self.identity().await, other.identity().await) else { return false };
        !here.is_empty() && here == there
    }

    /// Who the servers are that have rows.
    async fn identity(&self) -> RedisResult<Vec<String>> {
        let nodes = self.slots().await?.nodes();
        let addresses: Vec<_> = nodes.into_iter().flatten().map(|(host, port)| format!("{host}:{port}")).collect();
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        let texts = self.info("server").await?;
        Ok(texts.iter().filter_map(|text| value(text, "run_id")).map(str::to_owned).collect())
    }
}

impl Confirmation {
    /// What a store is told that is to have more confirmed than can be.
    fn refusal(&self) -> &'static str {
        if self.synced {
            "`wait_aof` can't be kept to, so every claim would fail: it needs Redis 7.2 or Valkey, `appendonly yes`, and as \
             many replicas as are to confirm"
        } else {
            "`wait_replicas` can't be kept to, so every claim would fail: connect as many replicas, or ask for fewer"
        }
    }
}

/// The texts in an answer: a cluster gives one for each node.
fn collect(answer: &Value, texts: &mut Vec<String>) {
    match answer {
        Value::BulkString(bytes) => texts.push(String::from_utf8_lossy(bytes).into_owned()),
        Value::VerbatimString { text, .. } => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Map(pairs) => pairs.iter().for_each(|(_, value)| collect(value, texts)),
        _ => {}
    }
}

/// By which policy a server with this `INFO` evicts keys, if it does.
fn evicts(info: &str) -> Option<&str> {
    let policy = value(info, "maxmemory_policy")?;
    (value(info, "maxmemory")? != "0" && policy != "noeviction").then_some(policy)
}

/// What an `INFO` says under this name.
fn value<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eviction_is_read_from_info() {
        let info = |most: &str, policy: &str| format!("# Memory\r\nmaxmemory:{most}\r\nmaxmemory_policy:{policy}\r\n");
        assert_eq!(evicts(&info("100", "allkeys-lru")), Some("allkeys-lru"));
        assert_eq!(evicts(&info("100", "noeviction")), None);
        assert_eq!(evicts(&info("0", "allkeys-lru")), None, "nothing is ever evicted");
        assert_eq!(evicts("# Memory\r\n"), None);
    }
}
