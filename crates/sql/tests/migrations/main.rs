//! The crate as its callers see it: whole files in, values and diagnostics out.

// Marked as tests so that clippy lets their helpers unwrap.
#[cfg(test)]
mod apart;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod sections;
#[cfg(test)]
mod sets;
#[cfg(test)]
mod splitting;

use sanderling_sql::{Diagnostic, Dialect, Migration, Statement, parse, parse_set};

const FILE: &str = "7_x.sql";

fn migration(text: &str) -> Migration {
    parse(FILE, text).unwrap_or_else(|problems| panic!("{}\n{text}", shown(&problems)))
}

/// An Up section with this body.
fn up(body: &str) -> String {
    format!("-- +migrate Up\n{body}")
}

/// What a fleet with only this dialect gets.
fn statements(dialect: Dialect, body: &str) -> Result<Vec<Statement>, Vec<Diagnostic>> {
    let set = parse_set(&[(FILE.to_owned(), up(body))], &[dialect])?;
    set[0].statements(dialect)
}

fn texts(dialect: Dialect, body: &str) -> Vec<String> {
    statements(dialect, body)
        .unwrap_or_else(|problems| panic!("{}\n{body}", shown(&problems)))
        .into_iter()
        .map(|statement| statement.text)
        .collect()
}

fn shown(problems: &[Diagnostic]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Fails unless the only problem begins with `start`, and has a hint.
fn only(problems: &[Diagnostic], start: &str) {
    let all = shown(problems);
    assert!(
        all.starts_with(&format!("{FILE}:{start}")),
        "{all}\nwanted {start}"
    );
    assert_eq!(problems.len(), 1, "{all}");
    assert!(problems[0].hint.is_some(), "{all}");
}
