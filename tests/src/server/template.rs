//! Data folders that are slow to make: made once, and copied.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

use super::folder;

/// Copies the data folder of this name to `target`. The first who asks makes it, while others wait; `make` is given the
/// folder that is to be filled.
pub(super) fn copy(name: &str, user: Option<(u32, u32)>, make: impl FnOnce(&Path), target: &Path) {
    let home = std::env::temp_dir();
    let template = home.join(format!("idem-template-{name}"));
    let lock = File::create(home.join(format!("idem-template-{name}.lock"))).unwrap();
    // Until the file is closed.
    assert_eq!(unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX) }, 0);
    if !template.exists() {
        let draft = folder(user);
        make(draft.path());
        // Whole, or not there.
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
