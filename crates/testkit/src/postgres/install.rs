//! Where PostgreSQL is installed, and a data directory that is initialised once and then copied.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::getuid;

use crate::home::{base, lock_base};
use crate::spawn::{dying_with_parent, dying_with_parent_as, is_file, missing, on_path};

/// PostgreSQL refuses to run as root; then it runs as the user its package made.
const USER: &str = "postgres";

/// The binaries of one PostgreSQL version.
pub(super) struct Install {
    bin: PathBuf,
}

impl Install {
    /// The newest version below `/usr/lib/postgresql`, else what PATH has.
    pub(super) fn find() -> Self {
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let version = entry.file_name().to_str()?.parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
            .filter(|(_, bin)| is_file(&bin.join("initdb")))
            .collect();
        versions.sort();
        let newest = versions.pop().map(|(_, bin)| bin);
        let on_path = || on_path("initdb").and_then(|found| Some(found.parent()?.to_path_buf()));
        match newest.or_else(on_path) {
            Some(bin) => Self { bin },
            None => missing("PostgreSQL (initdb, postgres)", "postgresql"),
        }
    }

    /// A command of this version that dies with this process, as a user that PostgreSQL accepts.
    pub(super) fn run(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        if getuid().is_root() {
            dying_with_parent_as(USER, program)
        } else {
            dying_with_parent(program)
        }
    }

    /// Puts a fresh data directory `data` and a socket directory `sockets` into `home`.
    pub(super) fn furnish(&self, home: &Path) {
        let template = self.template().expect("PostgreSQL's initdb works");
        own_directory(&home.join("sockets")).expect("a socket directory can be made");
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto"])
            .arg(template)
            .arg(home.join("data"));
        done(copy.output()).expect("the template can be copied");
    }

    /// An initialised data directory of this version, made by whoever comes first.
    fn template(&self) -> io::Result<PathBuf> {
        let base = base()?;
        let _guard = lock_base(&base)?;
        let version = done(Command::new(self.bin.join("postgres")).arg("-V").output())?;
        let version: String = version
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
            .collect();
        let template = base.join(format!("template-1-{version}"));
        if template.exists() {
            return Ok(template);
        }
        let building = base.join("template-building");
        if building.exists() {
            fs::remove_dir_all(&building)?;
        }
        own_directory(&building)?;
        let mut initdb = self.run("initdb");
        initdb
            .args(["--no-sync", "--auth=trust", "--username=postgres"])
            .args(["--encoding=UTF8", "--locale=C", "--wal-segsize=1", "-D"])
            .arg(&building)
            .current_dir("/");
        done(initdb.output())?;
        demand_passwords(&building.join("pg_hba.conf"))?;
        fs::rename(&building, &template)?;
        Ok(template)
    }
}

/// Where `psql` is: beside the server, else on PATH.
pub(super) fn psql() -> PathBuf {
    let beside = Install::find().bin.join("psql");
    if is_file(&beside) {
        return beside;
    }
    on_path("psql").unwrap_or_else(|| missing("psql", "postgresql-client"))
}

/// Members of role `needs_password` must give theirs over TCP; the first matching line wins.
fn demand_passwords(hba: &Path) -> io::Result<()> {
    let trusting = fs::read_to_string(hba)?;
    fs::write(
        hba,
        format!("host all +needs_password 127.0.0.1/32 scram-sha-256\n{trusting}"),
    )
}

/// Makes a directory that belongs to the user PostgreSQL runs as.
fn own_directory(path: &Path) -> io::Result<()> {
    let mut install = Command::new("install");
    install.args(["-d", "-m", "700"]);
    if getuid().is_root() {
        install.args(["-o", USER, "-g", USER]);
    }
    done(install.arg(path).output()).map(drop)
}

/// What a command wrote, or its failure as an error with what it said.
fn done(output: io::Result<Output>) -> io::Result<String> {
    let output = output?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(format!(
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}
