//! The scripts, and the commands that run them.

use std::sync::LazyLock;
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};

use super::failure::Failure;

/// A script of one key. The server keeps it by its hash, so that a request is the hash and not the code.
pub(super) struct Script {
    code: &'static str,
    hash: LazyLock<String>,
}

/// A script is put together from the parts that it needs: what it doesn't, it need not set up in each call.
macro_rules! script {
    ($($file:literal),+) => {{
        const CODE: &str = concat!($(include_str!($file)),+);
        Script { code: CODE, hash: LazyLock::new(|| redis::Script::new(CODE).get_hash().to_owned()) }
    }};
}

pub(super) static CLAIM: Script = script!("head.lua", "replay.lua", "row.lua", "owners.lua", "claim.lua", "write.lua");
pub(super) static RENEW: Script = script!("head.lua", "row.lua", "renew.lua", "write.lua");
pub(super) static COMPLETE: Script = script!("head.lua", "row.lua", "complete.lua", "write.lua");
pub(super) static RELEASE: Script = script!("head.lua", "row.lua", "owners.lua", "release.lua", "write.lua");
pub(super) static SETTLE: Script = script!("head.lua", "row.lua", "owners.lua", "settle.lua", "write.lua");
pub(super) static LOOK: Script = script!("head.lua", "row.lua", "look.lua");
pub(super) static GET: Script = script!("head.lua", "get.lua");

/// Those that handlers run: loaded when a store is opened.
pub(super) static HANDLERS: [&Script; 4] = [&CLAIM, &RENEW, &COMPLETE, &RELEASE];

impl Script {
    /// Runs it by its hash.
    pub(super) fn by_hash(&self, key: &[u8], arguments: impl FnOnce(&mut Cmd)) -> Cmd {
        Self::command("EVALSHA", &self.hash, key, arguments)
    }

    /// Runs it by its code, and has the server keep it.
    pub(super) fn by_code(&self, key: &[u8], arguments: impl FnOnce(&mut Cmd)) -> Cmd {
        Self::command("EVAL", self.code, key, arguments)
    }

    /// Has the server keep it.
    pub(super) fn load(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(self.code);
        command
    }

    fn command(name: &str, script: &str, key: &[u8], arguments: impl FnOnce(&mut Cmd)) -> Cmd {
        // Room for what most requests hold: a command grows by doubling.
        const ARGUMENTS: usize = 11;
        const BYTES: usize = 256;
        let mut command = Cmd::with_capacity(ARGUMENTS, script.len() + key.len() + BYTES);
        command.arg(name).arg(script).arg(1).arg(key);
        arguments(&mut command);
        command
    }
}

/// Who else has to confirm a write before it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confirmation {
    /// How many replicas.
    pub(super) replicas: u32,
    /// Whether it has to be in the append-only files, the primary's too.
    pub(super) synced: bool,
    /// How long to wait for them.
    pub(super) timeout: Duration,
}

impl Confirmation {
    /// The command, and behind it on the same connection the one that waits: one round trip.
    pub(super) fn behind(&self, command: Cmd) -> Pipeline {
        let mut pipeline = redis::pipe();
        pipeline.add_command(command).add_command(self.command());
        pipeline
    }

    /// The command that waits: until as many have what was written on its connection.
    pub(super) fn command(&self) -> Cmd {
        // Zero would wait for ever.
        let timeout = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = redis::cmd(if self.synced { "WAITAOF" } else { "WAIT" });
        if self.synced {
            command.arg(1);
        }
        command.arg(self.replicas).arg(timeout);
        command
    }

    /// What is missing, by the answer of the command that waits.
    pub(super) fn check(&self, answer: &Value) -> Option<Failure> {
        let (local, confirmed) = match answer {
            Value::Int(replicas) => (1, *replicas),
            Value::Array(counts) => match counts[..] {
                [Value::Int(local), Value::Int(replicas)] => (local, replicas),
                _ => return Some(Failure::Answer),
            },
            _ => return Some(Failure::Answer),
        };
        let local = local > 0;
        let falls_short = !local || confirmed < i64::from(self.replicas);
        falls_short.then_some(Failure::Shortfall { wanted: *self, local, confirmed })
    }
}
