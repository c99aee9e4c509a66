//! The checks when a store is opened.

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
    /// Checks that the server answers and that the replicas confirm, loads the scripts if handlers will use the store,
    /// and warns if the server may evict rows.
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
            // If the user may not do that, the first request sends the script.
            let _ = link.send(&script.load()).await;
        }
        self.warn_of_eviction().await;
        Ok(())
    }

    /// Warns once if the server evicts keys. Checked again when a row is gone, because the settings can have changed.
    pub(super) async fn warn_of_eviction(&self) {
        if self.told_of_eviction.load(Ordering::Relaxed) {
            return;
        }
        // If the user may not ask, the policy isn't known.
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

    /// Sends the command for confirmations without a write, to see whether enough servers confirm.
    async fn try_out(&self, groups: &Groups) -> Result<(), Failure> {
        for node in groups.find_nodes().await? {
            let confirmed = self.links.confirmed.send_to(&node, groups.confirmation.command()).await?;
            Failure::shortfall(groups.confirmation, &confirmed).map_or(Ok(()), Err)?;
        }
        Ok(())
    }
}

impl Link {
    /// Sends `INFO`. A cluster returns a text for each node.
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

    /// Identifies the servers that have rows.
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
    /// The message if the confirmations can't be had.
    fn refusal(&self) -> &'static str {
        if self.synced {
            "`wait_aof` can't be met, so every claim would fail: it needs Redis 7.2 or Valkey, `appendonly yes`, and as \
             many replicas as have to confirm"
        } else {
            "`wait_replicas` can't be met, so every claim would fail: connect as many replicas, or ask for fewer"
        }
    }
}

/// Collects the texts in an answer. A cluster returns one for each node.
fn collect(answer: &Value, texts: &mut Vec<String>) {
    match answer {
        Value::BulkString(bytes) => texts.push(String::from_utf8_lossy(bytes).into_owned()),
        Value::VerbatimString { text, .. } => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Map(pairs) => pairs.iter().for_each(|(_, value)| collect(value, texts)),
        _ => {}
    }
}

/// The policy by which a server with this `INFO` evicts keys, if it does.
fn evicts(info: &str) -> Option<&str> {
    let policy = value(info, "maxmemory_policy")?;
    (value(info, "maxmemory")? != "0" && policy != "noeviction").then_some(policy)
}

/// The value of a name in an `INFO`.
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
