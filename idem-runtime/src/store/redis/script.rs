//! The scripts, and the commands that run them.

use std::sync::LazyLock;

use redis::{Arg, Cmd};

/// A script for one key. The server stores it by its hash, so that a request contains the hash and not the code.
pub(super) struct Script {
    code: &'static str,
    hash: LazyLock<String>,
}

/// Puts a script together from the parts that it needs, so that no call sets up a part that it doesn't need.
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

/// The scripts of handlers. They are loaded when a store is opened.
pub(super) static HANDLERS: [&Script; 4] = [&CLAIM, &RENEW, &COMPLETE, &RELEASE];

impl Script {
    /// Makes a call of the script for a key.
    pub(super) fn call(&'static self, key: &[u8], arguments: impl FnOnce(&mut Cmd)) -> Call {
        // The size of most requests. A command without this capacity grows by doubling.
        const ARGUMENTS: usize = 11;
        const BYTES: usize = 256;
        let mut command = Cmd::with_capacity(ARGUMENTS, self.hash.len() + key.len() + BYTES);
        command.arg("EVALSHA").arg(self.hash.as_str()).arg(1).arg(key);
        arguments(&mut command);
        Call { script: self, command }
    }

    /// The command that makes the server store the script.
    pub(super) fn load(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(self.code);
        command
    }
}

/// A call of a script.
pub(super) struct Call {
    pub(super) script: &'static Script,
    /// Names the script by its hash, unless the call was made [`by_code`](Self::by_code).
    pub(super) command: Cmd,
}

impl Call {
    /// The same call with the script's code. The server then stores the script.
    pub(super) fn by_code(self) -> Self {
        let mut command = redis::cmd("EVAL");
        command.arg(self.script.code);
        for argument in arguments(&self.command).skip(2) {
            command.arg(argument);
        }
        Self { command, ..self }
    }

    /// The name of the row.
    pub(super) fn key(&self) -> &[u8] {
        arguments(&self.command).nth(3).unwrap_or_default()
    }
}

fn arguments(command: &Cmd) -> impl Iterator<Item = &[u8]> {
    command.args_iter().filter_map(|argument| match argument {
        Arg::Simple(bytes) => Some(bytes),
        _ => None,
    })
}
