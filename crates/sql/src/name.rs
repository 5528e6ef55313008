//! File names: `<digits>_<name>.sql`.

use crate::diagnostic::Diagnostic;

/// Long enough for a timestamp with microseconds, short enough for every ledger.
const MAX_DIGITS: usize = 20;
/// Ledgers of other tools keep names in 255 characters or more.
const MAX_NAME: usize = 200;

/// Splits a file name (directories before it do not matter) into version and name.
pub(crate) fn split(file: &str) -> Result<(String, String), Diagnostic> {
    let refuse = |message: String| {
        Diagnostic::new(file, (1, 1), message)
            .hint("a migration is called <digits>_<name>.sql, as 20260131120000_add_invoices.sql")
    };
    let base = file.rsplit('/').next().unwrap_or(file);
    let Some(stem) = base.strip_suffix(".sql") else {
        return Err(refuse(format!("`{base}` does not end in .sql")));
    };
    let digits = stem.len() - stem.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (version, rest) = stem.split_at(digits);
    if version.is_empty() {
        return Err(refuse(format!(
            "`{base}` does not begin with the digits of a version"
        )));
    }
    if version.len() > MAX_DIGITS {
        return Err(refuse(format!(
            "the version of `{base}` has {} digits; at most {MAX_DIGITS} are allowed",
            version.len()
        )));
    }
    let Some(name) = rest.strip_prefix('_').filter(|name| !name.is_empty()) else {
        return Err(refuse(format!(
            "`{base}` has no `_<name>` after its version"
        )));
    };
    if name.chars().any(char::is_control) || name.chars().count() > MAX_NAME {
        return Err(refuse(format!(
            "the name in `{}` has control characters or more than {MAX_NAME} characters",
            base.escape_debug()
        )));
    }
    if name.ends_with(".up") || name.ends_with(".down") {
        return Err(Diagnostic::new(
            file,
            (1, 1),
            format!("`{base}` is half of an up/down pair, which is not supported yet"),
        )
        .hint("put both into one file, under `-- +migrate Up` and `-- +migrate Down`"));
    }
    Ok((version.to_owned(), name.to_owned()))
}

/// The digits that count: versions are equal when these are.
pub(crate) fn significant(version: &str) -> &str {
    version.trim_start_matches('0')
}

/// A key that sorts versions as numbers of any length.
pub(crate) fn order(version: &str) -> (usize, &str) {
    let digits = significant(version);
    (digits.len(), digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_and_name_come_from_the_file_name() {
        for (file, version, name) in [
            ("1_a.sql", "1", "a"),
            ("db/0010_add_it.sql", "0010", "add_it"),
            ("20260101120000_é b.sql", "20260101120000", "é b"),
        ] {
            assert_eq!(split(file).unwrap(), (version.into(), name.into()));
        }
    }

    #[test]
    fn other_names_are_refused_with_the_form_to_use() {
        for file in [
            "a.sql",
            "1.sql",
            "1_.sql",
            "1_a.txt",
            "1-a.sql",
            "V1__a.sql",
            "1_a.up.sql",
            "1_a.down.sql",
            "1_a\u{7}.sql",
            "123456789012345678901_a.sql",
            "٣_a.sql",
            ".sql",
            "",
        ] {
            let found = split(file).unwrap_err();
            assert!(found.hint.is_some(), "{found}");
            assert_eq!((found.line, found.column), (1, 1));
        }
    }

    #[test]
    fn versions_order_as_numbers() {
        assert!(order("9") < order("0010"));
        assert_eq!(order("007"), order("7"));
    }
}
