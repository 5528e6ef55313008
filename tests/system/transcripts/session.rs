//! A session: its commands are run one after the other in the directory of a fleet of its own.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sanderling_testkit::{Ended, Postgres, Process, scratch};

use super::mask::Mask;
use crate::fleet::{DEADLINE, Fleet};

/// Runs every command of a session. Gives it back with what came of each.
pub(super) fn run(text: &str) -> String {
    let mut lines = text.lines().peekable();
    let header = lines.next().unwrap_or_default();
    let (fleet, _server) = fleet(header, text);
    let mask = Mask::of(&fleet);
    let mut said = format!("{header}\n");
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            let _ = writeln!(said, "{line}");
        }
        let Some(first) = line.strip_prefix("$ ") else {
            continue;
        };
        let _ = writeln!(said, "{line}");
        let mut script = first.to_owned();
        while let Some(more) = lines.peek().and_then(|line| line.strip_prefix("> ")) {
            let _ = writeln!(said, "> {more}");
            let _ = write!(script, "\n{more}");
            lines.next();
        }
        let ended = shell(&fleet, &script);
        for (mark, output) in [("out", &ended.stdout), ("err", &ended.stderr)] {
            for line in mask.lines(output) {
                let _ = writeln!(said, "{}", format!("{mark}| {line}").trim_end());
            }
        }
        match ended.code() {
            Some(0) => {}
            Some(code) => {
                let _ = writeln!(said, "exit {code}");
            }
            None => {
                let _ = writeln!(said, "ended by a signal");
            }
        }
    }
    said
}

/// `# fleet: files 3, migrations 2`: what there is before the first command, and a server that must outlive it.
fn fleet(header: &str, text: &str) -> (Fleet, Option<Postgres>) {
    let words = header
        .strip_prefix("# fleet: ")
        .unwrap_or_else(|| panic!("the first line says `# fleet: …`, not {header:?}"));
    let mut fleet = Fleet::embedded().named("beach");
    let (mut migrations, mut files, mut server) = (0, 0, None);
    for part in words.split(", ") {
        let (what, n) = part.split_once(' ').unwrap_or((part, "0"));
        let n: usize = n.parse().unwrap_or_else(|_| panic!("{part:?}: how many?"));
        fleet = match what {
            "files" => {
                files = n;
                fleet.files(n)
            }
            "schemas" => fleet.with_postgres(Postgres::shared()).schemas(n),
            "locked" => {
                let postgres = locked();
                let url = postgres
                    .url()
                    .replace("postgres@", "migrator:wr0ng-s3cret@");
                server = Some(postgres);
                fleet.settings(&format!("[hosts.locked]\nurl = \"{url}\"\n"))
            }
            "migrations" => {
                migrations = n;
                fleet
            }
            other => panic!("a fleet of a session has no {other}"),
        };
    }
    // As an operator has them who configures none, unless a bake would be waited for.
    let small = files <= 5 || text.contains("[[rollout.waves]]");
    let fleet = if small { fleet.default_waves() } else { fleet };
    let fleet = fleet.written();
    fleet.probe_migrations(migrations);
    (fleet, server)
}

/// A server that lets nobody in without the right password.
fn locked() -> Postgres {
    let directory = scratch();
    let file = directory.path().join("pg_hba.conf");
    let rules = "local all all trust\nhost all migrator 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
    std::fs::write(&file, rules).unwrap();
    // The server runs as another user when the tests run as root.
    let readable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), readable).unwrap();
    let postgres = Postgres::private_with(&[("hba_file", file.to_str().unwrap())]);
    let role = "CREATE ROLE migrator LOGIN PASSWORD 'right'";
    postgres.sql(postgres.url(), role);
    postgres
}

/// Runs a line of the session as a shell does, with the program on the path.
fn shell(fleet: &Fleet, script: &str) -> Ended {
    let script = match script.contains("ROLLOUT") {
        true => script.replace("ROLLOUT", &newest(fleet)),
        false => script.to_owned(),
    };
    let program = Path::new(env!("CARGO_BIN_EXE_sanderling"));
    let directory = program.parent().unwrap().display();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Process::command("bash");
    command
        .args(["-c", &script])
        .current_dir(fleet.path(""))
        .env("PATH", format!("{directory}:{path}"))
        .env("USER", "anna")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("DATABASE_URL");
    Process::spawn(command).wait_with_deadline(DEADLINE)
}

/// The id of the newest rollout.
fn newest(fleet: &Fleet) -> String {
    let list = fleet.json(0, &["rollout", "list", "--all"]);
    list[0]["rollout"]
        .as_str()
        .expect("a session that names ROLLOUT has had one")
        .to_owned()
}
