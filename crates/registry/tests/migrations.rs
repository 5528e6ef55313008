//! Migration directories as developers leave them.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::path::Path;

use sanderling_registry::{RegistryError, migrations};
use sanderling_sql::Dialect;
use tempfile::TempDir;

const GOOD: &str =
    "-- +migrate Up\nCREATE TABLE a (id integer);\n-- +migrate Down\nDROP TABLE a;\n";

fn dir(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn load(path: &Path) -> Result<migrations::Migrations, RegistryError> {
    migrations::load(path, &Dialect::ALL)
}

fn bad(dir: &TempDir) -> String {
    load(dir.path())
        .unwrap_err()
        .to_string()
        .replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn files_become_a_bundle_whatever_their_line_ends() {
    let unix = dir(&[
        ("9_a.sql", GOOD.as_bytes()),
        ("0010_b.sql", GOOD.replace(" a", " b").as_bytes()),
    ]);
    let windows = dir(&[
        (
            "9_a.sql",
            format!("\u{feff}{}", GOOD.replace('\n', "\r\n")).as_bytes(),
        ),
        ("0010_b.sql", GOOD.replace(" a", " b").as_bytes()),
        (".hidden.sql", b"nonsense"),
        ("README.md", b"# hello"),
    ]);
    std::fs::create_dir(windows.path().join("old")).unwrap();
    let (unix, windows) = (load(unix.path()).unwrap(), load(windows.path()).unwrap());
    assert_eq!(unix.bundle.hash(), windows.bundle.hash());
    assert!(unix.notes.is_empty());
    assert_eq!(windows.notes.len(), 3, "{:?}", windows.notes);
    let metas = unix.metas();
    let versions: Vec<_> = metas.iter().map(|m| m.version.as_str()).collect();
    assert_eq!(versions, ["9", "0010"]);
    assert_eq!(
        (metas[1].name.as_str(), metas[1].file.as_str()),
        ("b", "0010_b.sql")
    );
    assert_eq!(metas[0].checksum.as_str().len(), 64);
}

#[test]
fn problems_of_all_files_are_listed_with_their_place() {
    let dir = dir(&[
        ("1_a.sql", b"SELECT 1;\n"),
        ("2_b.sql", b"a\0b\0c\0"),
        ("3_c.sql", GOOD.as_bytes()),
        ("003_d.sql", GOOD.as_bytes()),
        ("nameless.sql", GOOD.as_bytes()),
    ]);
    let text = bad(&dir);
    for start in [
        "1_a.sql:1:1: ",
        "2_b.sql:1:1: the file is UTF-16",
        "nameless.sql:1:1: ",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(start)),
            "{start}: {text}"
        );
    }
    assert!(
        text.contains("version 3 is also that of 003_d.sql"),
        "{text}"
    );
}

#[test]
fn an_empty_or_missing_directory_is_an_error() {
    let dir = dir(&[("notes.txt", b"")]);
    assert!(bad(&dir).contains("has no migration; write <timestamp>_<name>.sql there"));
    let missing = load(&dir.path().join("gone")).unwrap_err().to_string();
    assert!(
        missing.contains("gone: there is no such directory of migrations"),
        "{missing}"
    );
}
