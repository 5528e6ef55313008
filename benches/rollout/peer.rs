//! dbmate, a process per tenant, four at a time: what many do today.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::table::Series;

/// The program, where `scripts/bench` could have it.
pub(crate) fn program() -> Option<String> {
    std::env::var("DBMATE").ok().filter(|path| !path.is_empty())
}

/// Tenants that dbmate migrates: it is so much slower that fewer say as much.
pub(crate) const TENANTS: usize = 40;

/// Runs `dbmate migrate` on each schema, and notes the seconds that so many tenants as `n` would take.
pub(crate) fn run(
    series: &mut Series,
    program: &str,
    url: &str,
    prefix: &str,
    n: usize,
    bodies: &[(String, String)],
) {
    let directory = sanderling_testkit::scratch();
    for (version, body) in bodies {
        let text = format!("-- migrate:up\n{body};\n\n-- migrate:down\n");
        std::fs::write(directory.path().join(format!("{version}_change.sql")), text).unwrap();
    }
    let schemas: Vec<_> = (0..TENANTS).map(|i| format!("{prefix}{i:05}\n")).collect();
    let list = directory.path().join("schemas");
    std::fs::write(&list, schemas.concat()).unwrap();
    // The schema is an argument of the shell: a placeholder inside a URL would be cut by xargs.
    let one = format!(
        "\"{program}\" --url \"{url}?sslmode=disable&search_path=$0\" --migrations-dir \"{}\" --no-dump-schema migrate",
        directory.path().display()
    );
    let begun = Instant::now();
    let status = Command::new("xargs")
        .args(["-P4", "-n1", "sh", "-c", &one])
        .stdin(std::fs::File::open(&list).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "dbmate: {status}");
    let seconds = begun.elapsed().as_secs_f64();
    series.seconds.push(seconds * n as f64 / TENANTS as f64);
}
