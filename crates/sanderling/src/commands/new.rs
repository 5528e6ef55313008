//! `sanderling new NAME`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::exit::{Exit, UsageError};
use crate::wiring::Wiring;

/// Digits of `20260131120000`. Fewer are counted up, not told from the clock.
const TIMESTAMP: usize = 14;

/// What a new file holds.
const TEXT: &str = "-- +migrate Up\n\n\n-- +migrate Down\n\n";

/// Writes an empty migration that goes behind all that are there.
pub(crate) fn run(wiring: &Wiring, name: &str) -> anyhow::Result<Exit> {
    let name = file_name(name)?;
    let directory = wiring.migrations_dir();
    let mut versions = versions(&directory)?;
    versions.sort_by(|a, b| number(a).cmp(&number(b)));
    let newest = versions.pop();
    let now = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string();
    let version = next(newest.as_deref(), &now);
    let path = written(&directory, &format!("{version}_{name}.sql"), TEXT)?;
    wiring
        .printer
        .json(&serde_json::json!({ "version": version, "file": path }))?;
    wiring.printer.result(&path.display().to_string());
    Ok(Exit::Done)
}

/// Writes a file that is not there yet, and the directories above it.
///
/// # Errors
/// A file that is there: nothing is overwritten.
pub(super) fn written(directory: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = directory.join(name);
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above)
            .with_context(|| format!("{} could not be made", above.display()))?;
    }
    let write = || {
        let mut file = std::fs::File::create_new(&path)?;
        file.write_all(text.as_bytes())
    };
    write().with_context(|| {
        format!(
            "{} could not be written; what is there is never overwritten",
            path.display()
        )
    })?;
    Ok(path)
}

/// The part of the file's name behind the version.
fn file_name(typed: &str) -> Result<String, UsageError> {
    let name = typed.trim().replace(' ', "_");
    let fits = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.chars().count() > 100 || !name.chars().all(fits) {
        return Err(UsageError(format!(
            "`{}` cannot name a migration: letters, digits, `_` and `-`, at most 100; as in `sanderling new add_invoices`",
            typed.escape_debug()
        )));
    }
    Ok(name)
}

/// The versions of the files that are there, whatever else is in them.
fn versions(directory: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries.collect::<Result<Vec<_>, _>>(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let entries = entries.with_context(|| format!("{} cannot be read", directory.display()))?;
    let names = entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let version = |name: String| {
        let stem = name.strip_suffix(".sql")?;
        let digits: String = stem.chars().take_while(char::is_ascii_digit).collect();
        (!digits.is_empty()).then_some(digits)
    };
    Ok(names.filter_map(version).collect())
}

/// Sorts versions as numbers of any length.
fn number(version: &str) -> (usize, &str) {
    let digits = version.trim_start_matches('0');
    (digits.len(), digits)
}

/// The version behind `newest`, in its manner: a time where it is one (or where there is none yet), else one more. Never
/// below it, although a clock may be.
fn next(newest: Option<&str>, now: &str) -> String {
    match newest {
        None => now.to_owned(),
        Some(newest) if newest.len() >= TIMESTAMP && number(newest) < number(now) => now.to_owned(),
        Some(newest) => one_more(newest),
    }
}

/// The decimal number after this one, as wide.
fn one_more(version: &str) -> String {
    let mut digits = version.to_owned().into_bytes();
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return String::from_utf8_lossy(&digits).into_owned();
        }
        *digit = b'0';
    }
    format!("1{}", String::from_utf8_lossy(&digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_version_is_written_like_the_newest() {
        let now = "20261127120000";
        for (newest, expected) in [
            (None, now),
            (Some("20260101000000"), now),
            (Some("20261127120000"), "20261127120001"),
            (Some("20991231235959"), "20991231235960"),
            (Some("0041"), "0042"),
            (Some("9"), "10"),
            (Some("0099"), "0100"),
        ] {
            assert_eq!(next(newest, now), expected, "{newest:?}");
        }
    }

    #[test]
    fn names_are_file_names() {
        assert_eq!(file_name(" add the invoices ").unwrap(), "add_the_invoices");
        for wrong in ["", "  ", "a/b", "..", "a.sql", "a\nb", &"x".repeat(101)] {
            assert!(file_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
