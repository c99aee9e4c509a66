//! A file to which all processes of a run append what they do.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// The file, opened to append. Each line is written as a whole, and the order of the lines is the order in time. A line that was
/// written stays when its process is killed.
#[derive(Clone, Debug)]
pub struct Journal(Arc<File>);

impl Journal {
    /// Opens the file, and creates it if it is not there.
    pub fn open(path: &Path) -> Self {
        Self(Arc::new(OpenOptions::new().append(true).create(true).open(path).unwrap()))
    }

    /// Writes a line.
    pub fn line(&self, line: fmt::Arguments<'_>) {
        (&*self.0).write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
