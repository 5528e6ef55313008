//! Children that die with this process.
//!
//! The kernel kills a child when the *thread* that spawned it ends, so every spawn happens on one thread that
//! lives as long as the process.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// One spawn asked of the thread.
struct Request {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

/// Starts `command` from the thread that never ends.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = channel::<Request>();
        thread::Builder::new()
            .name("testkit-spawner".to_owned())
            .spawn(move || {
                for mut request in requests {
                    // The asker may have panicked meanwhile; then nobody wants the child's handle.
                    let _ = request.answer.send(request.command.spawn());
                }
            })
            .expect("a thread can be started");
        sender
    });
    let (answer, child) = channel();
    spawner
        .send(Request { command, answer })
        .expect("the spawning thread lives as long as the process");
    child
        .recv()
        .expect("the spawning thread answers every request")
}

/// A command that the kernel kills when this process ends, however it ends.
pub(crate) fn dying_with_parent(program: impl AsRef<OsStr>) -> Command {
    let mut command = setpriv();
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// The same, run as the unprivileged user `user`.
pub(crate) fn dying_with_parent_as(user: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = setpriv();
    command
        .arg(format!("--reuid={user}"))
        .arg(format!("--regid={user}"))
        .args(["--clear-groups", "--pdeathsig", "KILL", "--"])
        .arg(program);
    command
}

fn setpriv() -> Command {
    Command::new(required("setpriv", "util-linux"))
}

/// Where `program` is on PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join(program))
        .find(|candidate| is_file(candidate))
}

/// Where `program` is on PATH.
///
/// # Panics
/// When it is not, naming the package that holds it.
pub(crate) fn required(program: &str, package: &str) -> PathBuf {
    on_path(program).unwrap_or_else(|| missing(program, package))
}

/// Fails the test that needs a program which is not installed.
pub(crate) fn missing(program: &str, package: &str) -> ! {
    panic!(
        "{program} is not installed: this test needs the real thing. Install package {package}, or run \
         scripts/test, which installs it on Debian and Ubuntu"
    )
}

pub(crate) fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file())
}
