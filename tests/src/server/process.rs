//! A process that does not outlive the test's.

use std::fs::{File, OpenOptions};
use std::io::Error;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};

use super::{Clock, Program};

/// Killed when it is dropped, with its children; all of them have ended then.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts it; what it says is appended to `log`.
    pub(super) fn start(program: &Program, clock: Option<&Clock>, log: &Path) -> Self {
        let log = OpenOptions::new().append(true).create(true).open(log).unwrap();
        let mut command = command(program, log);
        if let Some(clock) = clock {
            clock.rules(&mut command);
        }
        Self::spawn(command)
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// If it can't be started.
    pub fn spawn(mut command: Command) -> Self {
        // Runs after the change of user, which would undo it.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(Error::last_os_error()),
            });
        }
        Self(spawn(command))
    }

    /// Its number, and its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_running() {
            return;
        }
        // The process is stopped first, so that it can't start another child. Such a child would outlive it, hold its locks, and
        // answer its clients.
        let process = self.0.id().cast_signed();
        stop(process);
        let children = children(process);
        let ends: Vec<_> = children.iter().map(|&child| end(child)).collect();
        for child in children {
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        for end in ends {
            let mut poll = libc::pollfd { fd: end.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            assert_eq!(unsafe { libc::poll(&raw mut poll, 1, -1) }, 1, "{}", Error::last_os_error());
        }
    }
}

/// Stops a child of this process, unless it ends before.
fn stop(process: i32) {
    let what = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT;
    let mut found: libc::siginfo_t = unsafe { std::mem::zeroed() };
    unsafe { libc::kill(process, libc::SIGSTOP) };
    let waited = unsafe { libc::waitid(libc::P_PID, process.cast_unsigned(), &raw mut found, what) };
    assert_eq!(waited, 0, "{}", Error::last_os_error());
}

/// A descriptor that is readable as soon as this process has ended.
fn end(process: i32) -> OwnedFd {
    let file = unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) };
    assert!(file >= 0, "{}", Error::last_os_error());
    unsafe { OwnedFd::from_raw_fd(file as i32) }
}

fn command(program: &Program, log: File) -> Command {
    let mut command = Command::new(&program.path);
    command.args(&program.arguments).current_dir("/").stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log);
    if let Some((user, group)) = program.user {
        command.uid(user).gid(group);
    }
    command
}

/// Starts the command from a thread that lives as long as this process. For the signal at the parent's death, the end of the thread
/// that started a process counts, and a test's thread ends early.
fn spawn(command: Command) -> Child {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static ORDERS: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, incoming) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, started) in incoming {
                drop(started.send(command.spawn()));
            }
        });
        orders
    });
    let (started, child) = mpsc::channel();
    ORDERS.send((command, started)).unwrap();
    child.recv().unwrap().unwrap()
}

/// The processes whose parent this is.
fn children(parent: i32) -> Vec<i32> {
    let parent = parent.to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |process: &i32| {
        // `number (name) state parent`, and a name can hold anything.
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split(' ').nth(2)) == Some(&parent)
    };
    numbers.filter(is_child).collect()
}
