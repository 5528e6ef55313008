//! One server process: started on a free port, signalled, restarted, killed on drop.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::home::Home;
use crate::names::free_port;
use crate::spawn::spawn;
use crate::until;

/// A loaded machine with two cores needs seconds, not a minute.
const START: Duration = Duration::from_secs(60);
const STARTS: u32 = 5;

/// How one kind of server is started in its home and recognised as ready.
pub(crate) trait Kind: Send + Sync {
    fn name(&self) -> &'static str;
    fn command(&self, port: u16) -> Command;
    /// Ready to answer on its port, as process `pid`.
    fn ready(&self, pid: u32, port: u16) -> bool;
}

/// A server process and its directory. The process goes first, then the directory.
pub(crate) struct Server {
    kind: Box<dyn Kind>,
    port: u16,
    child: Mutex<Child>,
    home: Home,
}

impl Server {
    /// Starts a server; a port that somebody else took first is given up for another.
    pub(crate) fn start(kind: Box<dyn Kind>, home: Home) -> Self {
        let log = home.path().join("log");
        let mut said = String::new();
        for _ in 0..STARTS {
            let port = free_port();
            match launch(kind.as_ref(), port, &log) {
                Ok(child) => {
                    return Self {
                        kind,
                        port,
                        child: Mutex::new(child),
                        home,
                    };
                }
                Err(log) => said = log,
            }
        }
        panic!("{} did not start in {STARTS} tries: {said}", kind.name());
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child().id()
    }

    pub(crate) fn home_path(&self) -> &std::path::Path {
        self.home.path()
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// Sends `signal` to the server and to the processes it has forked.
    pub(crate) fn signal(&self, signal: Signal) {
        let parent = self.pid();
        // Parent first on STOP and KILL, so that it forks no more while its children are counted.
        for pid in std::iter::once(parent).chain(children_of(parent)) {
            send(pid, signal);
        }
    }

    /// Kills at once, as a power cut would, and waits for the end.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
        // The child may have been reaped by an earlier kill.
        let _ = self.child().wait();
    }

    /// Kills the server and starts it again on the same port and directory.
    pub(crate) fn restart(&self) {
        self.kill();
        let log = self.log_path();
        // A killed PostgreSQL's last children may hold its shared memory for a moment.
        let child = until(START, "the server to start again", || {
            launch(self.kind.as_ref(), self.port, &log)
        });
        *self.child() = child;
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts and waits until ready; the error is the end of the log of a server that ended instead.
fn launch(kind: &dyn Kind, port: u16, log: &PathBuf) -> Result<Child, String> {
    let out = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .expect("the server's directory is writable");
    let mut command = kind.command(port);
    command
        .stdin(Stdio::null())
        .stderr(out.try_clone().expect("a file can be cloned"))
        .stdout(out);
    let mut child = spawn(command).map_err(|error| format!("{}: {error}", kind.name()))?;
    let pid = child.id();
    let ready = until(START, &format!("{} to be ready", kind.name()), || {
        if let Ok(Some(_)) = child.try_wait() {
            return Ok(false);
        }
        if kind.ready(pid, port) {
            return Ok(true);
        }
        Err(tail(log))
    });
    if ready { Ok(child) } else { Err(tail(log)) }
}

fn tail(log: &PathBuf) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// Sends a signal; a process that has ended already is no error.
pub(crate) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The direct children of a process, by `/proc`.
fn children_of(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

/// The fourth field of `/proc/<pid>/stat`; the second may hold spaces, so it is cut at its closing bracket.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}
