//! Data folders that take long to make. Each is made once, and copied for each server.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

use super::folder;

/// Copies the data folder of this name to `target`. The first caller makes it with `make`, which gets the folder to fill. Others wait
/// for it.
pub(super) fn copy(name: &str, user: Option<(u32, u32)>, make: impl FnOnce(&Path), target: &Path) {
    let home = std::env::temp_dir();
    let template = home.join(format!("idem-template-{name}"));
    let lock = File::create(home.join(format!("idem-template-{name}.lock"))).unwrap();
    // Holds the lock until the file is closed.
    assert_eq!(unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX) }, 0);
    if !template.exists() {
        let draft = folder(user);
        make(draft.path());
        // A rename, so that the template is there as a whole or not at all.
        std::fs::rename(draft.keep(), &template).unwrap();
    }
    drop(lock);
    run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(template.join("data")).arg(target));
}

/// Runs a command that has to succeed.
pub(super) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
