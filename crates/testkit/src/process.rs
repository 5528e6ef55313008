//! Any program as a child: killed with its parent, its output readable while it runs.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::server::send;
use crate::spawn::{dying_with_parent, spawn};
use crate::until;

/// The signals that tests send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ends at once, nothing runs after it (SIGKILL).
    Kill,
    /// Freezes (SIGSTOP).
    Stop,
    /// Thaws (SIGCONT).
    Cont,
    /// Asks to drain and end (SIGTERM).
    Term,
    /// As ^C (SIGINT).
    Int,
}

impl Signal {
    fn raw(self) -> rustix::process::Signal {
        use rustix::process::Signal as Raw;
        match self {
            Self::Kill => Raw::KILL,
            Self::Stop => Raw::STOP,
            Self::Cont => Raw::CONT,
            Self::Term => Raw::TERM,
            Self::Int => Raw::INT,
        }
    }
}

/// How a process ended and what it wrote.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

impl Ended {
    /// The exit code; none when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// A running program. Killed on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: File,
    stderr: File,
}

impl Process {
    /// A command for [`Process::spawn`]: the program dies with this process, also on SIGKILL. Add arguments,
    /// environment and directory as to any command.
    pub fn command(program: impl AsRef<OsStr>) -> Command {
        dying_with_parent(program)
    }

    /// Starts `command` (made by [`Process::command`]) with an empty stdin and captured output.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(mut command: Command) -> Self {
        // Nameless files: no reader threads, no full pipes, nothing to clean up.
        let (stdout, stderr) = (capture(), capture());
        command
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().expect("a file can be cloned"))
            .stderr(stderr.try_clone().expect("a file can be cloned"));
        let program = format!("{command:?}");
        let child =
            spawn(command).unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Sends a signal; a process that has ended already is left alone.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            send(self.child.id(), signal.raw());
        }
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it still runs at the deadline; the message holds its output.
    pub fn wait_with_deadline(&mut self, deadline: Duration) -> Ended {
        let status = until(deadline, "a process to end", || {
            match self.child.try_wait() {
                Ok(Some(status)) => Ok(status),
                Ok(None) => Err(format!(
                    "still running\nstdout: {}\nstderr: {}",
                    text(&self.stdout),
                    text(&self.stderr)
                )),
                Err(error) => Err(error.to_string()),
            }
        });
        Ended {
            status,
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn capture() -> File {
    tempfile::tempfile().expect("the temporary directory is writable")
}

/// The whole file, read without moving the position that the child writes at.
fn text(file: &File) -> String {
    let length = file.metadata().map_or(0, |found| found.len());
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], read as u64) {
            Ok(0) | Err(_) => break,
            Ok(count) => read += count,
        }
    }
    bytes.truncate(read);
    String::from_utf8_lossy(&bytes).into_owned()
}
