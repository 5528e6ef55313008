//! Comments that mean something: `-- +migrate …` and `-- sanderling: …`.

use crate::nearest::nearest;

/// A directive that cuts a file into sections and blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Directive {
    Up,
    Down,
    StatementBegin,
    StatementEnd,
}

const WORDS: [(&str, Directive); 4] = [
    ("Up", Directive::Up),
    ("Down", Directive::Down),
    ("StatementBegin", Directive::StatementBegin),
    ("StatementEnd", Directive::StatementEnd),
];

/// What a line comment turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A comment for people.
    Prose,
    /// A section or block begins or ends.
    Directive(Directive),
    /// A header line; its settings begin at this byte of the comment.
    Header(usize),
    /// Nearly one of ours, so that taking it for prose would drop what the author meant: message and hint.
    Mistake(String, String),
}

/// Reads a comment, given with its two dashes.
pub(crate) fn meaning(comment: &str, at_line_start: bool) -> Meaning {
    let body = comment.trim_start_matches('-').trim_start();
    let lower = body.to_ascii_lowercase();
    if let Some(after_plus) = lower.strip_prefix('+')
        && after_plus.trim_start().starts_with("migrate")
    {
        return directive(comment, at_line_start);
    }
    let Some(rest) = lower.strip_prefix("sanderling") else {
        return Meaning::Prose;
    };
    let rest = rest.trim_start();
    if rest.starts_with(':') {
        header(comment, body, at_line_start)
    } else if rest
        .split_whitespace()
        .next()
        .is_some_and(|word| word.contains('='))
    {
        Meaning::Mistake(
            "a header line without a colon".into(),
            "write `-- sanderling: key=value`".into(),
        )
    } else {
        Meaning::Prose
    }
}

fn directive(comment: &str, at_line_start: bool) -> Meaning {
    let shown = comment.trim_end();
    let Some(words) = shown
        .strip_prefix("-- +migrate")
        .filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
    else {
        return Meaning::Mistake(
            format!("`{shown}` is not written as a directive"),
            "write it exactly so: `-- +migrate Up`, with one space after the dashes".into(),
        );
    };
    if !at_line_start {
        return Meaning::Mistake(
            format!("the directive `{shown}` does not stand at the start of its line"),
            "put it on a line of its own, without spaces in front".into(),
        );
    }
    let mut words = words.split_whitespace();
    let word = words.next().unwrap_or_default();
    let Some((_, directive)) = WORDS.iter().find(|(known, _)| *known == word) else {
        let known = WORDS.map(|(known, _)| known);
        return Meaning::Mistake(
            format!("unknown directive `{shown}`"),
            match nearest(word, &known) {
                Some(meant) => format!("did you mean `-- +migrate {meant}`?"),
                None => format!("known are {}", known.join(", ")),
            },
        );
    };
    match words.next() {
        None => Meaning::Directive(*directive),
        Some("notransaction") => Meaning::Mistake(
            "`notransaction` is not supported yet".into(),
            "take the statements that need it out of this migration".into(),
        ),
        Some(extra) => Meaning::Mistake(
            format!("`{extra}` after `-- +migrate {word}` means nothing"),
            "remove it; settings go into a line `-- sanderling: key=value` before Up".into(),
        ),
    }
}

fn header(comment: &str, body: &str, at_line_start: bool) -> Meaning {
    if !body.starts_with("sanderling:") {
        return Meaning::Mistake(
            "a header line is written in small letters, its colon next to the word".into(),
            "write `-- sanderling: key=value`".into(),
        );
    }
    if !at_line_start {
        return Meaning::Mistake(
            "a header line has to stand at the start of its line".into(),
            "put it on a line of its own before `-- +migrate Up`".into(),
        );
    }
    Meaning::Header(comment.len() - body.len() + "sanderling:".len())
}

/// Which other tool a comment was written for, if it says so.
pub(crate) fn foreign(comment: &str) -> Option<&'static str> {
    let body = comment.trim_start_matches('-').trim_start();
    [
        ("migrate:up", "dbmate"),
        ("+goose ", "goose"),
        ("liquibase formatted sql", "Liquibase"),
        ("+micrate ", "micrate"),
    ]
    .into_iter()
    .find(|(start, _)| body.starts_with(start))
    .map(|(_, tool)| tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_exactly() {
        for (comment, directive) in [
            ("-- +migrate Up", Directive::Up),
            ("-- +migrate  Down \t", Directive::Down),
            ("-- +migrate StatementBegin", Directive::StatementBegin),
            ("-- +migrate\tStatementEnd", Directive::StatementEnd),
        ] {
            assert_eq!(meaning(comment, true), Meaning::Directive(directive));
        }
    }

    #[test]
    fn near_misses_are_never_taken_for_prose() {
        for (comment, at_line_start, hint) in [
            ("--+migrate Up", true, "exactly so"),
            ("--  +migrate Up", true, "exactly so"),
            ("-- +Migrate Up", true, "exactly so"),
            ("-- + migrate Up", true, "exactly so"),
            ("-- +migrateUp", true, "exactly so"),
            ("-- +migrate Up", false, "line of its own"),
            ("-- +migrate up", true, "did you mean `-- +migrate Up`?"),
            ("-- +migrate Dwon", true, "did you mean `-- +migrate Down`?"),
            ("-- +migrate Sideways", true, "known are Up, Down"),
            ("-- +migrate", true, "known are"),
            ("-- +migrate Up notransaction", true, "take the statements"),
            ("-- +migrate Up now", true, "remove it"),
            (
                "-- sanderling phase=expand",
                true,
                "-- sanderling: key=value",
            ),
            (
                "-- Sanderling: phase=expand",
                true,
                "-- sanderling: key=value",
            ),
            (
                "-- sanderling : phase=expand",
                true,
                "-- sanderling: key=value",
            ),
            (
                "-- sanderling: phase=expand",
                false,
                "before `-- +migrate Up`",
            ),
        ] {
            let Meaning::Mistake(_, found) = meaning(comment, at_line_start) else {
                panic!("{comment} was let through");
            };
            assert!(found.contains(hint), "{comment}: {found}");
        }
    }

    #[test]
    fn prose_stays_prose_and_headers_are_found() {
        for comment in [
            "-- a",
            "--",
            "-- sanderling runs this",
            "-- migrate Up",
            "-- + 1",
        ] {
            assert_eq!(meaning(comment, true), Meaning::Prose, "{comment}");
        }
        assert_eq!(meaning("-- sanderling: a=b", true), Meaning::Header(14));
        assert_eq!(meaning("--sanderling: a=b", true), Meaning::Header(13));
    }
}
