//! What is looked at when a store is opened.

use redis::Value;

use super::Shared;
use super::failure::{Failure, STORE};
use super::script::{Confirmation, HANDLERS};
use crate::error::Error;

impl Shared {
    /// Reaches the server and those who are to confirm what it writes, has it keep the scripts, and warns where it may evict
    /// rows.
    pub(super) async fn check(&self) -> Result<(), Error> {
        let reached = self.link.send(&redis::cmd("PING")).await;
        reached.map_err(|error| Error::Config {
            message: "the Redis server can't be reached, or refuses this client".to_owned(),
            source: Some(Failure::Redis(error).into()),
        })?;
        if let Some(confirmation) = &self.confirmation {
            self.try_out(confirmation).await.map_err(|failure| Error::Config {
                message: confirmation.refusal().to_owned(),
                source: Some(failure.into()),
            })?;
        }
        for script in HANDLERS {
            // Where that is not allowed, the first request sends it.
            let _ = self.link.send(&script.load()).await;
        }
        let mut info = redis::cmd("INFO");
        info.arg("memory");
        // Where that is not allowed, nobody can say.
        if let Ok(info) = self.link.send(&info).await {
            let mut texts = Vec::new();
            collect(&info, &mut texts);
            if let Some(policy) = texts.iter().find_map(|text| evicts(text)) {
                tracing::warn!(
                    policy,
                    store = STORE,
                    "the server evicts keys when its memory is full, and an evicted key runs again: set \
                     `maxmemory-policy noeviction`, or give the store a server of its own"
                );
            }
        }
        Ok(())
    }

    /// Has nothing confirmed, by as many as are to confirm every write.
    async fn try_out(&self, confirmation: &Confirmation) -> Result<(), Failure> {
        for node in self.link.nodes().await? {
            let confirmed = self.link.send_to(&node, confirmation.command()).await?;
            confirmation.check(&confirmed).map_or(Ok(()), Err)?;
        }
        Ok(())
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
    let value = |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    let policy = value("maxmemory_policy")?;
    (value("maxmemory")? != "0" && policy != "noeviction").then_some(policy)
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
