//! All migrations of a fleet together.

use crate::diagnostic::Diagnostic;
use crate::migration::{Dialect, Migration, parse_for};
use crate::name::{order, significant};

/// Reads a set of files, given as (name, canonical text), for the dialects that the fleet has. Sorted by version as
/// a number. Without a dialect the sections are found but not cut into statements.
///
/// # Errors
/// Everything that is wrong with any file, in order of file and place: a bad file, two files with one version, a
/// `requires` that is not met, SQL that cannot be split for one of the dialects or must not be sent.
pub fn parse_set(
    files: &[(String, String)],
    dialects: &[Dialect],
) -> Result<Vec<Migration>, Vec<Diagnostic>> {
    let asked = if dialects.is_empty() {
        &Dialect::ALL
    } else {
        dialects
    };
    let mut problems = Vec::new();
    let mut migrations = Vec::new();
    for (file, text) in files {
        match parse_for(file, text, asked) {
            Ok(migration) => migrations.push(migration),
            Err(found) => problems.extend(found),
        }
    }
    migrations.sort_by(|a, b| {
        (order(&a.version), &a.version, &a.file).cmp(&(order(&b.version), &b.version, &b.file))
    });
    problems.extend(duplicates(&migrations));
    for migration in &migrations {
        problems.extend(requirements(migration, &migrations));
        problems.extend(sections(migration, dialects));
    }
    if problems.is_empty() {
        return Ok(migrations);
    }
    problems.sort();
    // Both dialects may object to one thing.
    problems.dedup_by(|a, b| {
        (&a.file, a.line, a.column, &a.message) == (&b.file, b.line, b.column, &b.message)
    });
    Err(problems)
}

fn whole_file(migration: &Migration, message: String) -> Diagnostic {
    Diagnostic::new(&migration.file, (1, 1), message)
}

/// `migrations` are sorted, so that equal versions are neighbours.
fn duplicates(migrations: &[Migration]) -> Vec<Diagnostic> {
    migrations
        .windows(2)
        .filter(|pair| significant(&pair[0].version) == significant(&pair[1].version))
        .map(|pair| {
            whole_file(
                &pair[1],
                format!(
                    "version {} is also that of {}",
                    pair[1].version, pair[0].file
                ),
            )
            .hint("rename the one that has been applied nowhere")
        })
        .collect()
}

fn requirements(migration: &Migration, all: &[Migration]) -> Vec<Diagnostic> {
    let at_requires = |message| Diagnostic::new(&migration.file, migration.requires_at(), message);
    let mut problems = Vec::new();
    for required in &migration.header.requires {
        let known = all
            .iter()
            .any(|other| significant(&other.version) == significant(required));
        if !known {
            problems.push(
                at_requires(format!("it requires version {required}, which no file has"))
                    .hint("correct `requires` in the header, or add that migration"),
            );
        } else if order(required) >= order(&migration.version) {
            problems.push(
                at_requires(format!(
                    "it requires version {required}, which does not come before it"
                ))
                .hint("a migration can only require lower versions: give it a higher one"),
            );
        }
    }
    problems
}

fn sections(migration: &Migration, dialects: &[Dialect]) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for dialect in dialects {
        let up = migration.statements(*dialect);
        let down = migration.down_statements(*dialect);
        for section in [Some(up), down].into_iter().flatten() {
            problems.extend(section.err().into_iter().flatten());
        }
    }
    problems.extend(two_readings(migration, dialects));
    problems
}

/// A file for both dialects has to have its sections in the same places.
fn two_readings(migration: &Migration, dialects: &[Dialect]) -> Option<Diagnostic> {
    let [one, other, ..] = dialects else {
        return None;
    };
    let (Ok(one), Ok(other)) = (migration.reading(*one), migration.reading(*other)) else {
        return None;
    };
    (one != other).then(|| {
        whole_file(
            migration,
            "PostgreSQL and SQLite find the directives of this file in different places".into(),
        )
        .hint("move the text that looks like a directive out of the dollar-quoted body, name or comment")
    })
}
