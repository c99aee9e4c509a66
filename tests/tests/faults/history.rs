//! The history of a run: one file, to which every process appends.

use std::fmt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use idem_tests::journal::Journal;

/// The history's file.
#[derive(Clone, Debug)]
pub(crate) struct History(Journal);

impl History {
    pub(crate) fn open(directory: &Path) -> Self {
        Self(Journal::open(&directory.join("history")))
    }

    pub(crate) fn read(directory: &Path) -> String {
        std::fs::read_to_string(directory.join("history")).unwrap()
    }

    pub(crate) fn line(&self, kind: Kind, key: &dyn fmt::Display, fence: u64, rest: &dyn fmt::Display) {
        self.0.line(format_args!("{kind:?} {key} {fence} {} {} {rest}", std::process::id(), now()));
    }
}

/// The time of the machine's clock, which a server on this machine has too. Fences are compared with it.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident)*) => {
        /// The event that a line reports.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            fn parse(word: &str) -> Option<Self> {
                match word {
                    $(stringify!($kind) => Some(Self::$kind),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// The store granted a claim. Rest: the owner, and the fence of the holder that died, or 0.
    Granted
    /// The store renewed a lease. Rest: when it was asked to.
    Renewed
    /// The store is about to be asked to record a result.
    Completing
    /// The store has recorded the result.
    Completed
    /// The store is about to be asked to release a key. Rest: the owner, and how the key is left.
    Releasing
    /// The store has released the key. Rest: how the key is left.
    Released
    /// The store refused a holder's request. Rest: the request.
    Refused
    /// The store did not answer. Rest: the error.
    Unanswered
    /// A body begins.
    Start
    /// A body returns its result.
    End
    /// A call has run its body, and its result is recorded. Rest: the result.
    Executed
    /// A call got a recorded result. Rest: the result.
    Replayed
    /// A call was told that the key has a holder.
    InProgress
    /// A call returned the handler's own error.
    Declined
    /// A call was dropped.
    Dropped
    /// A call lost its lease.
    LeaseLost
    /// A body ran, and its result could not be recorded.
    NotRecorded
    /// A call could not claim its key.
    NotClaimed
    /// A call ended in a way that must not happen. Rest: how.
    Failed
}

/// One line, read back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// The number of the line.
    pub(crate) number: usize,
    pub(crate) kind: Kind,
    pub(crate) key: &'a str,
    pub(crate) fence: u64,
    pub(crate) process: u32,
    /// Microseconds since the Unix epoch.
    pub(crate) time: u64,
    pub(crate) rest: &'a str,
}

impl<'a> Line<'a> {
    pub(crate) fn parse(number: usize, line: &'a str) -> Result<Self, String> {
        let fields: Vec<_> = line.splitn(6, ' ').collect();
        let parsed = match *fields.as_slice() {
            [kind, key, fence, process, time, rest] => (|| {
                let (kind, fence) = (Kind::parse(kind)?, fence.parse().ok()?);
                Some(Self { number, kind, key, fence, process: process.parse().ok()?, time: time.parse().ok()?, rest })
            })(),
            _ => None,
        };
        parsed.ok_or_else(|| format!("line {number} can't be read: {line}"))
    }

    /// The words of the rest.
    pub(crate) fn words(&self) -> (&'a str, &'a str) {
        self.rest.split_once(' ').unwrap_or((self.rest, ""))
    }
}
