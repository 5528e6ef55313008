//! `with-servers [--] COMMAND…`: one PostgreSQL and one Redis for a whole test run.
//!
//! The servers are announced to the command by environment and end with it: killed on the way out, and by the
//! kernel when this process is killed.

use std::env;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;

use sanderling_testkit::{Postgres, Redis};
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

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
    let status = Command::new(&command[0])
        .args(&command[1..])
        .env("SANDERLING_TEST_POSTGRES", postgres.url())
        .env("SANDERLING_TEST_REDIS", redis.url())
        .spawn();
    let mut child = match status {
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
