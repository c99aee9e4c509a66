//! What every process of a run writes down, in one file.

use std::fmt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use idem_tests::journal::Journal;

/// The file.
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

/// What a server on this machine would say: its fences are compared with this.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident)*) => {
        /// What a line tells.
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
    /// It has.
    Completed
    /// The store is about to be asked to let go of a key. Rest: the owner, and how.
    Releasing
    /// It has. Rest: how.
    Released
    /// The store refused a holder. Rest: what it wanted.
    Refused
    /// The store did not answer. Rest: what it said.
    Unanswered
    /// A body begins.
    Start
    /// A body returns its result.
    End
    /// A call has run its body, and its result is recorded. Rest: the result.
    Executed
    /// A call was given a result that was recorded. Rest: the result.
    Replayed
    /// A call met a holder.
    InProgress
    /// A call returned its own error.
    Declined
    /// A call was dropped.
    Dropped
    /// A call lost its lease.
    LeaseLost
    /// A call ran, and its result could not be recorded.
    NotRecorded
    /// A call could not claim.
    NotClaimed
    /// A call ended as none should. Rest: how.
    Failed
}

/// One line, read back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Where it stands.
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
