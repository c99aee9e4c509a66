//! What the processes of a run write down, in one file.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// The file, opened to append: a line is written whole, and where it stands is when it was written. What was written stays
/// when its process is killed.
#[derive(Clone, Debug)]
pub struct Journal(Arc<File>);

impl Journal {
    /// Goes on with the file, or begins it.
    pub fn open(path: &Path) -> Self {
        Self(Arc::new(OpenOptions::new().append(true).create(true).open(path).unwrap()))
    }

    /// Writes a line.
    pub fn line(&self, line: fmt::Arguments<'_>) {
        (&*self.0).write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
