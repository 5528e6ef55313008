//! `with-servers [--] COMMAND…`: one PostgreSQL and one Redis for a whole test run.
//!
//! The servers are announced to the command by environment and end with it: killed on the way out, and by the
//! kernel when this process is killed.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;

use sanderling_testkit::{Postgres, Redis};
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What `cargo run` says of this package. A build script that asks for these names (ring's does) runs anew when they
/// differ from a plain `cargo build`'s, and with it half of the dependencies are built again.
fn names_of_this_package() -> impl Iterator<Item = OsString> {
    env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // `cargo run` keeps the dashes for itself; a shell hands them on.
    let command: Vec<_> = env::args_os()
        .skip(1)
        .skip_while(|word| word == "--")
        .collect();
    if command.is_empty() {
        return complain("usage: with-servers [--] COMMAND [ARGUMENT]…", 2);
    }
    // Before anything is started: a signal that came earlier would end this process without a word to its command.
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return complain("cannot listen to signals", 1);
    };
    let (postgres, redis) = (Postgres::private(), Redis::private());
    let mut wanted = Command::new(&command[0]);
    wanted
        .args(&command[1..])
        .env("SANDERLING_TEST_POSTGRES", postgres.url())
        .env("SANDERLING_TEST_REDIS", redis.url());
    for name in names_of_this_package() {
        wanted.env_remove(name);
    }
    let mut child = match wanted.spawn() {
        Ok(child) => child,
        Err(error) => {
            return complain(&format!("{}: {error}", command[0].to_string_lossy()), 127);
        }
    };
    loop {
        tokio::select! {
            ended = child.wait() => return match ended {
                Ok(status) => code(status.code().or(status.signal().map(|number| 128 + number))),
                Err(error) => complain(&error.to_string(), 1),
            },
            // A terminal sends ^C to the command as well: only its end is awaited.
            () = next(&mut interrupt) => {}
            () = next(&mut terminate) => forward(child.id()),
        }
    }
}

/// The next signal of a kind.
async fn next(signal: &mut Signal) {
    signal.recv().await;
}

/// Hands SIGTERM on to the command.
fn forward(pid: Option<u32>) {
    let pid = pid.and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
    if let Some(pid) = pid {
        // A command that has just ended needs no signal.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

fn code(code: Option<i32>) -> ExitCode {
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn complain(message: &str, exit: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "with-servers: {message}");
    ExitCode::from(exit)
}
