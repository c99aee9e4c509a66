//! A clock of a server that a test can set.

use std::fs::File;
use std::future::{Ready, ready};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::template;

/// The clock of a server that was started with it. The server's monotonic clock is not changed.
#[derive(Debug)]
pub struct Clock {
    ahead: File,
    path: PathBuf,
    library: PathBuf,
}

impl Clock {
    /// Builds the library that replaces the system's clock, and creates the file by which it is set, in this folder.
    pub(super) fn new(folder: &Path) -> Self {
        let (path, library) = (folder.join("clock"), folder.join("clock.so"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/clock.c");
        template::run(Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(source));
        let clock = Self { ahead: File::create(&path).unwrap(), path, library };
        drop(clock.set_ahead(Duration::ZERO));
        clock
    }

    /// Sets the clock so far ahead of this machine's.
    pub fn set_ahead(&self, ahead: Duration) -> Ready<()> {
        self.set(ahead.as_micros() as i64);
        ready(())
    }

    /// Sets the clock so many microseconds ahead of this machine's, or behind it.
    pub fn set(&self, ahead: i64) {
        self.ahead.write_all_at(&ahead.to_ne_bytes(), 0).unwrap();
    }

    /// Makes a program use this clock.
    pub(super) fn rules(&self, program: &mut Command) {
        program.env("LD_PRELOAD", &self.library).env("IDEM_CLOCK", &self.path);
    }
}
