//! What an operator reads: sessions in a shell, command by command, with stdout, stderr and exit code.
//!
//! A file of `transcripts/` is the session and what is expected of it. Its first line says which fleet there is. `$ ` begins
//! a command, `> ` continues it, `ROLLOUT` in one stands for the newest rollout; `out| `, `err| ` and `exit` are what came
//! of it, and `#` begins a remark. `UPDATE=1` writes the files anew. What differs from run to run is masked.

pub(crate) mod mask;
mod session;

use std::collections::BTreeSet;
use std::path::PathBuf;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/system/transcripts")
}

/// One test for each file, and one that no file is without.
macro_rules! transcripts {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            compare(stringify!($name));
        })*

        #[test]
        fn every_file_is_compared() {
            let named: BTreeSet<String> = [$(concat!(stringify!($name), ".txt")),*].map(str::to_owned).into();
            let found: BTreeSet<String> = std::fs::read_dir(directory())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.ends_with(".txt"))
                .collect();
            assert_eq!(found, named);
        }
    };
}

transcripts!(
    amend,
    configuration,
    down,
    everyday,
    gates,
    holds,
    hosts,
    migrations,
    passwords,
    plan_file,
    registry,
    selectors,
    tenants,
    urls,
    verbs,
    waves,
);

/// Runs the session and compares it with its file.
#[track_caller]
fn compare(name: &str) {
    let path = directory().join(format!("{name}.txt"));
    let expected = std::fs::read_to_string(&path).unwrap();
    let said = session::run(&expected);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, said).unwrap();
        return;
    }
    if said == expected {
        return;
    }
    let line = said
        .lines()
        .zip(expected.lines())
        .take_while(|(said, expected)| said == expected)
        .count();
    let from = |text: &str| -> String {
        let shown = text.lines().skip(line.saturating_sub(6)).take(12);
        shown.map(|line| format!("    {line}\n")).collect()
    };
    panic!(
        "{} differs from line {} on; where that is meant: UPDATE=1 scripts/test -E 'test(transcripts::{name})'\n\
         expected:\n{}said:\n{}",
        path.display(),
        line + 1,
        from(&expected),
        from(&said)
    );
}
