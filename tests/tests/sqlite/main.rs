//! What is particular to the SQLite store: the file, its processes, its syncs, its threads, its operator.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod failures;
mod names;
mod opening;
mod operator;
mod protocol;
mod syncs;
mod threads;

use std::path::{Path, PathBuf};

use idem_runtime::SqliteStore;
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("idem.sqlite")
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path).await.unwrap()
}
