//! What holds for every text.

use super::{FILE, up};
use proptest::prelude::*;
use sanderling_sql::{Dialect, Statement, canonical, parse, parse_set, position};

/// Whole statements of PostgreSQL in which something looks like the end of one.
fn postgres_statement() -> impl Strategy<Value = String> {
    prop_oneof![
        "select [a-z]{1,3}",
        "select '([a-z;\"$-]|''|/\\*|\n){0,8}'",
        "select E'([a-z;\"]|''|\\\\\\\\|\\\\'){0,8}'",
        "select \"([a-z;'é-]|\"\"){1,8}\"",
        "select [(]{0}\\$\\$[a-z;'\"\n-]{0,10}\\$\\$",
        "do \\$([a-z_]{1,3})\\$ [a-z;'\" \n]{0,10}".prop_map(|text| {
            let tag = text[3..].split('$').nth(1).unwrap_or_default().to_owned();
            format!("{text}${tag}$")
        }),
        "select /\\*[a-z;' \n]{0,8}/\\*[;']{0,3}\\*/[;\"]{0,3}\\*/ 1",
        "select -- [a-z;'\" ]{0,8}\n 1",
        "create rule r as on insert to t do also [(]select 1; select '[;)(]{0,3}'[)]",
        "create function f[(][)] returns int begin atomic select 1;( select case a when 1 then 2 end;){0,2} end",
        "insert into t values [(]1, '[;]?'[)], [(](2), [(](3)[)][)]",
    ]
    .prop_filter("balanced", |text| balanced(text))
}

fn balanced(text: &str) -> bool {
    // The generator may close too few parentheses outside quotes; those are other tests' cases.
    let count = |c| text.matches(c).count();
    text.contains('\'') || count('(') == count(')')
}

/// The same for SQLite.
fn sqlite_statement() -> impl Strategy<Value = String> {
    prop_oneof![
        "select [a-z]{1,3}",
        "select '([a-z;\"$\\\\-]|''|/\\*|\n){0,8}'",
        "select \"([a-z;'é-]|\"\"){1,8}\"",
        "select `([a-z;'\"]|``){1,8}`",
        "select \\[[a-z;'\"`]{1,8}\\]",
        "select /\\*[a-z;' \n]{0,8}\\*/ 1",
        "select -- [a-z;'\"\\[` ]{0,8}\n 1",
        "create (temp |temporary )?trigger t after insert on a begin( select case when 1 then ';' end;){1,3} end",
    ]
}

fn gap() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(";".to_owned()),
        Just(" ;\n".to_owned()),
        Just(";;".to_owned()),
        Just("\n-- it's; \"\n;".to_owned()),
        Just(" /* ;' */ ; ".to_owned()),
    ]
}

fn with_gaps(
    statement: impl Strategy<Value = String>,
) -> impl Strategy<Value = (Vec<String>, String)> {
    prop::collection::vec((statement, gap()), 1..6).prop_map(|pairs| {
        let body = pairs
            .iter()
            .map(|(text, gap)| format!("{text}{gap}"))
            .collect();
        (pairs.into_iter().map(|(text, _)| text).collect(), body)
    })
}

/// Fails unless the pieces are slices of the text at the places they name, in order, with nothing but blanks,
/// comments, directives and semicolons between them.
fn reproduces(dialect: Dialect, text: &str, statements: &[Statement]) {
    let mut rest = 0;
    for statement in statements {
        let at = byte(text, statement.line, statement.column);
        assert_eq!(position(text, at), (statement.line, statement.column));
        assert!(at >= rest, "{statement:?} lies behind the one before it");
        assert!(text[at..].starts_with(&statement.text), "{statement:?}");
        assert!(
            only_separators(dialect, &text[rest..at]),
            "{:?} was dropped",
            &text[rest..at]
        );
        let end = at + statement.text.len();
        assert_eq!(
            statement.locate(statement.text.chars().count()),
            position(text, end)
        );
        rest = end;
    }
    assert!(
        only_separators(dialect, &text[rest..]),
        "{:?} was dropped",
        &text[rest..]
    );
}

/// The inverse of `position`.
fn byte(text: &str, line: u32, column: u32) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line as usize - 1)
        .map(str::len)
        .sum();
    let in_line = text[before..].char_indices().nth(column as usize - 1);
    before + in_line.map_or(text.len() - before, |(at, _)| at)
}

/// Blanks, semicolons and comments, by a reading simpler than the lexers'.
fn only_separators(dialect: Dialect, gap: &str) -> bool {
    let mut rest = gap;
    loop {
        rest = rest.trim_start_matches([' ', '\n', '\t', ';', '\u{c}']);
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if rest.starts_with("/*") {
            rest = after_comment(dialect, rest);
        } else {
            return rest.is_empty();
        }
    }
}

fn after_comment(dialect: Dialect, text: &str) -> &str {
    let (mut depth, mut at) = (0, 0);
    while at + 1 < text.len() {
        match &text.as_bytes()[at..at + 2] {
            b"/*" if depth == 0 || dialect == Dialect::Postgres => {
                (depth, at) = (depth + 1, at + 2)
            }
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    &text[at..]
}

/// Sending the pieces as `piece \n ;` has to mean what the file meant.
fn survives_sending(dialect: Dialect, statements: &[Statement]) {
    let texts: Vec<_> = statements.iter().map(|s| s.text.clone()).collect();
    let sent: String = texts.iter().map(|text| format!("{text}\n;\n")).collect();
    let again = parse(FILE, &up(&sent))
        .unwrap()
        .statements(dialect)
        .unwrap();
    let again: Vec<_> = again.into_iter().map(|s| s.text).collect();
    assert_eq!(again, texts);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn generated_postgres_statements_come_back((expected, body) in with_gaps(postgres_statement())) {
        let text = up(&body);
        let found = parse(FILE, &text).unwrap().statements(Dialect::Postgres).unwrap();
        prop_assert_eq!(found.iter().map(|s| s.text.clone()).collect::<Vec<_>>(), expected);
        reproduces(Dialect::Postgres, &text, &found);
        survives_sending(Dialect::Postgres, &found);
    }

    #[test]
    fn generated_sqlite_statements_come_back((expected, body) in with_gaps(sqlite_statement())) {
        let text = up(&body);
        let found = parse(FILE, &text).unwrap().statements(Dialect::Sqlite).unwrap();
        prop_assert_eq!(found.iter().map(|s| s.text.clone()).collect::<Vec<_>>(), expected);
        reproduces(Dialect::Sqlite, &text, &found);
        survives_sending(Dialect::Sqlite, &found);
    }

    #[test]
    fn any_soup_is_split_without_loss_or_refused(
        body in "(select|create|function|trigger|begin|atomic|case|end|[a$é(); \n'\"\\[\\]`]|--|/\\*|\\*/|\\$\\$|E'|\n-- \\+migrate (Down|StatementBegin|StatementEnd)\n){0,25}"
    ) {
        let text = up(&body);
        if let Ok(read) = parse(FILE, &text) {
            for dialect in Dialect::ALL {
                if let Ok(found) = read.statements(dialect) {
                    let end = found.last().map_or(0, |_| text.find("\n-- +migrate Down").unwrap_or(text.len()));
                    if read.down_statements(dialect).is_none() && end == text.len() {
                        reproduces(dialect, &text, &found);
                    }
                    survives_sending(dialect, &found);
                }
            }
        }
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "\\PC{0,60}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            if let Ok(read) = canonical(FILE, bytes) {
                let _ = parse(FILE, &read.text);
                let _ = parse_set(&[(FILE.to_owned(), up(&read.text))], &Dialect::ALL);
            }
        }
    }
}
