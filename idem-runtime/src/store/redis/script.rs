//! The scripts, and the commands that run them.

use std::sync::LazyLock;

use redis::{Arg, Cmd};

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

/// Those that handlers run: loaded when a store is opened.
pub(super) static HANDLERS: [&Script; 4] = [&CLAIM, &RENEW, &COMPLETE, &RELEASE];

impl Script {
    /// A call for a key.
    pub(super) fn call(&'static self, key: &[u8], arguments: impl FnOnce(&mut Cmd)) -> Call {
        // Room for what most requests hold: a command grows by doubling.
        const ARGUMENTS: usize = 11;
        const BYTES: usize = 256;
        let mut command = Cmd::with_capacity(ARGUMENTS, self.hash.len() + key.len() + BYTES);
        command.arg("EVALSHA").arg(self.hash.as_str()).arg(1).arg(key);
        arguments(&mut command);
        Call { script: self, command }
    }

    /// Has the server keep it.
    pub(super) fn load(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(self.code);
        command
    }
}

/// A call of a script.
pub(super) struct Call {
    pub(super) script: &'static Script,
    /// By the script's hash, unless the call is [`by_code`](Self::by_code).
    pub(super) command: Cmd,
}

impl Call {
    /// The same call by the script's code, which the server then keeps.
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
