//! What the text of a Rust file may hold.

use std::collections::BTreeMap;

use crate::lexer::{Kind, blank, words};

const MOST_LINES: usize = 500;

/// The only file that may sleep for tests: it polls there until a deadline.
const POLLS: &str = "crates/testkit/src/until.rs";

/// Crates that send SQL made at run time.
const GATED: &[&str] = &["crates/engine", "crates/store"];

/// A complaint about a file that is too long to be read in one go.
pub(crate) fn size(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    complain(lines > MOST_LINES, || {
        format!("{path}: {lines} lines, more than {MOST_LINES}")
    })
}

/// Complaints about `async` in the pure crates.
pub(crate) fn purity(path: &str, text: &str) -> Vec<String> {
    let pure = ["crates/core/", "crates/sql/"]
        .iter()
        .any(|room| path.starts_with(room));
    if !pure {
        return Vec::new();
    }
    at(text, &blank(text, &[Kind::Code]), "async")
        .map(|line| format!("{path}:{line}: `async` in a pure crate"))
        .collect()
}

/// Complaints about sleeping in tests: below `tests`, in testkit, and behind `cfg(test)`.
pub(crate) fn sleeps(path: &str, text: &str) -> Vec<String> {
    if path == POLLS {
        return Vec::new();
    }
    let code = blank(text, &[Kind::Code]);
    let whole = path.split('/').any(|part| part == "tests") || path.starts_with("crates/testkit/");
    let from = if whole {
        0
    } else {
        code.find("#[cfg(test)]").unwrap_or(code.len())
    };
    words(&code)
        .filter(|(start, word)| *start >= from && matches!(*word, "sleep" | "sleep_until"))
        .filter(|(start, word)| code[start + word.len()..].starts_with('('))
        .map(|(start, word)| {
            let line = line_of(text, start);
            format!(
                "{path}:{line}: `{word}` in a test; wait for the condition with testkit's `until`"
            )
        })
        .collect()
}

/// Complaints about what is unfinished, never runs, or silences a lint without a reason.
pub(crate) fn marks(path: &str, text: &str) -> Vec<String> {
    let code = blank(text, &[Kind::Code]);
    let said = blank(text, &[Kind::Code, Kind::Comment]);
    let notes = ["TODO", "FIXME"]
        .into_iter()
        .flat_map(|mark| at(text, &said, mark).map(move |line| (line, mark.to_owned())));
    let macros = ["todo", "unimplemented"].into_iter().flat_map(|name| {
        let code = &code;
        words(code)
            .filter(move |(start, word)| {
                *word == name && code[start + word.len()..].starts_with('!')
            })
            .map(move |(start, _)| (line_of(text, start), format!("{name}!")))
    });
    // Attributes as they are once spaces are gone; several may share an attribute by `cfg_attr`.
    let attributes = code.lines().enumerate().flat_map(|(index, line)| {
        let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        let opens = ["#[", "#!["].iter().any(|open| line.contains(open));
        ["ignore", "allow("].into_iter().filter_map(move |name| {
            let found = ["[", ","]
                .iter()
                .any(|before| line.contains(&format!("{before}{name}")));
            (opens && found).then(|| (index + 1, format!("#[{name}")))
        })
    });
    notes
        .chain(macros)
        .chain(attributes)
        .map(|(line, what)| format!("{path}:{line}: `{what}`"))
        .collect()
}

/// Complaints about run-time SQL outside the one file per crate that may vouch for it. Tests vouch for their own.
pub(crate) fn gates<'a>(sources: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut files: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (path, text) in sources.filter(|(path, _)| path.contains("/src/")) {
        let code = blank(text, &[Kind::Code]);
        if words(&code).any(|(_, word)| word == "AssertSqlSafe") {
            let room = path.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
            files.entry(room).or_default().push(path);
        }
    }
    files
        .into_iter()
        .filter(|(room, files)| files.len() > 1 || !GATED.contains(&room.as_str()))
        .map(|(room, files)| {
            format!("{room}: AssertSqlSafe belongs into one file of engine and one of store, found in {files:?}")
        })
        .collect()
}

/// The lines of `text` where `word` stands in the blanked text.
fn at<'a>(text: &'a str, blanked: &str, word: &str) -> impl Iterator<Item = usize> + use<'a> {
    let lines: Vec<_> = words(blanked)
        .filter(|(_, found)| *found == word)
        .map(|(start, _)| line_of(text, start))
        .collect();
    lines.into_iter()
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

fn complain(bad: bool, complaint: impl FnOnce() -> String) -> Vec<String> {
    bad.then(complaint).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_are_found() {
        assert!(size("x.rs", &"a\n".repeat(500)).is_empty());
        assert_eq!(size("x.rs", &"a\n".repeat(501)).len(), 1);
    }

    #[test]
    fn async_is_found_in_pure_crates_only() {
        let text = "// async is fine here\nfn f() { \"async\" }\nasync fn g() {}\n";
        assert_eq!(
            purity("crates/core/src/x.rs", text),
            ["crates/core/src/x.rs:3: `async` in a pure crate"]
        );
        assert_eq!(purity("crates/sql/tests/x.rs", text).len(), 1);
        assert!(purity("crates/store/src/x.rs", text).is_empty());
    }

    #[test]
    fn sleeping_is_found_in_tests_only() {
        let text =
            "fn f() { sleep(1) }\n#[cfg(test)]\nmod tests { fn f() { std::thread::sleep(1) } }\n";
        assert_eq!(sleeps("crates/x/src/a.rs", text).len(), 1);
        assert_eq!(sleeps("crates/x/tests/a.rs", text).len(), 2);
        assert_eq!(
            sleeps("tests/system/a.rs", "tokio::time::sleep_until(t)").len(),
            1
        );
        assert_eq!(sleeps("crates/testkit/src/a.rs", "sleep(1)").len(), 1);
        assert!(sleeps(POLLS, text).is_empty());
        assert!(
            sleeps(
                "tests/system/a.rs",
                "sql(\"SELECT pg_sleep(1)\"); no_sleep(); // sleep()"
            )
            .is_empty()
        );
    }

    #[test]
    fn marks_are_found() {
        for bad in [
            "// TODO: later\n",
            "/// FIXME\n",
            "fn f() { todo!() }\n",
            "fn f() { unimplemented!(\"x\") }\n",
            "#[ignore]\nfn f() {}\n",
            "#[ignore = \"slow\"]\nfn f() {}\n",
            "#[allow(dead_code)]\nfn f() {}\n",
            "#![allow(dead_code)]\n",
            "#[cfg_attr(test, allow(dead_code))]\n",
            "#[ cfg_attr(not(unix), ignore) ]\n",
        ] {
            assert_eq!(marks("x.rs", bad).len(), 1, "{bad}");
        }
        for good in [
            "let s = \"TODO #[ignore] todo!()\";\n",
            "#[expect(dead_code, reason = \"…\")]\n",
            "let ignore = [a, b];\n",
            "#[derive(Debug)]\nfn allow(x: u8) {}\n",
        ] {
            assert!(marks("x.rs", good).is_empty(), "{good}");
        }
    }

    #[test]
    fn a_second_gate_and_a_gate_elsewhere_are_found() {
        let gate = "use sqlx::AssertSqlSafe;";
        let one = [
            ("crates/engine/src/a.rs", gate),
            ("crates/store/src/a.rs", gate),
        ];
        assert!(gates(one.into_iter()).is_empty());
        let two = [
            ("crates/engine/src/a.rs", gate),
            ("crates/engine/src/b.rs", gate),
        ];
        assert_eq!(gates(two.into_iter()).len(), 1);
        assert_eq!(
            gates([("crates/worker/src/a.rs", gate)].into_iter()).len(),
            1
        );
        assert!(gates([("crates/engine/tests/a.rs", gate)].into_iter()).is_empty());
        assert!(gates([("crates/worker/src/a.rs", "// AssertSqlSafe")].into_iter()).is_empty());
    }
}
