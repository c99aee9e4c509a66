//! Which other servers have to confirm a write before it counts.

use std::time::Duration;

use redis::Cmd;

/// Which other servers have to confirm a write before it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confirmation {
    /// How many replicas.
    pub(super) replicas: u32,
    /// Whether it has to be in the append-only files, the primary's too.
    pub(super) synced: bool,
    /// How long to wait for the confirmations.
    pub(super) timeout: Duration,
}

impl Confirmation {
    /// The command that waits until enough servers have what was written on its connection.
    pub(super) fn command(&self) -> Cmd {
        // Zero would mean for ever.
        let timeout = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = redis::cmd(if self.synced { "WAITAOF" } else { "WAIT" });
        if self.synced {
            command.arg(1);
        }
        command.arg(self.replicas).arg(timeout);
        command
    }
}
