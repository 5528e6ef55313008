//! Migration directories: files in, a bundle and its parsed migrations out.

use std::path::Path;

use sanderling_core::assess::MigrationMeta;
use sanderling_core::{Bundle, BundleFile, Checksum, Version};
use sanderling_sql::{Diagnostic, Dialect, Migration};

use crate::problem::{Problems, RegistryError};

/// The migrations of a directory.
#[derive(Clone, Debug)]
pub struct Migrations {
    /// Their canonical texts, named by content.
    pub bundle: Bundle,
    /// The parsed files, in order of version.
    pub files: Vec<Migration>,
    /// What looked odd but is legal, one sentence each.
    pub notes: Vec<String>,
}

impl Migrations {
    /// What planning needs to know of each, in order of version.
    pub fn metas(&self) -> Vec<MigrationMeta> {
        self.files
            .iter()
            .map(|file| MigrationMeta {
                version: Version::new(file.version.as_str()),
                name: file.name.clone(),
                checksum: Checksum::new(file.checksum.as_str()),
                file: file.file.clone(),
                accepted: Default::default(),
            })
            .collect()
    }
}

/// Reads every `*.sql` file of a directory for the dialects that the fleet's hosts speak. Hidden files are passed
/// over; other files and subdirectories are noted.
///
/// # Errors
/// A directory that is missing or has no migration; everything that is wrong with any file, with file, line and column.
pub fn load(dir: &Path, dialects: &[Dialect]) -> Result<Migrations, RegistryError> {
    let mut problems = Problems::default();
    let mut notes = Vec::new();
    let mut files = Vec::new();
    for name in names(dir, &mut problems, &mut notes) {
        match text(dir, &name, &mut notes) {
            Ok(text) => files.push((name, text)),
            Err(diagnostic) => problem(dir, diagnostic, &mut problems),
        }
    }
    let parsed = match sanderling_sql::parse_set(&files, dialects) {
        Ok(parsed) => parsed,
        Err(found) => {
            for diagnostic in found {
                problem(dir, diagnostic, &mut problems);
            }
            Vec::new()
        }
    };
    let bundle = Bundle::new(
        files
            .into_iter()
            .map(|(name, text)| BundleFile { name, text })
            .collect(),
    );
    problems.into_result(notes, |notes| Migrations {
        bundle,
        files: parsed,
        notes,
    })
}

/// The names of the migration files, sorted.
fn names(dir: &Path, problems: &mut Problems, notes: &mut Vec<String>) -> Vec<String> {
    let entries = std::fs::read_dir(dir).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            problems.add(
                shown(dir),
                None,
                "there is no such directory of migrations; create it, or correct `migrations` under [fleet]",
            );
            return Vec::new();
        }
        Err(e) => {
            problems.add(shown(dir), None, format!("cannot be read: {e}"));
            return Vec::new();
        }
    };
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.file_name();
        let path = shown(&entry.path());
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // Follows symbolic links: a mounted configuration volume is made of them.
        if entry.path().is_dir() {
            notes.push(format!(
                "{path}: a directory inside the migrations is not read"
            ));
        } else if entry.path().extension().is_none_or(|e| e != "sql") {
            notes.push(format!(
                "{path}: not read, because its name does not end in .sql"
            ));
        } else if let Some(name) = name.to_str() {
            names.push(name.to_owned());
        } else {
            problems.add(path, None, "the file's name is not UTF-8; rename it");
        }
    }
    if names.is_empty() {
        problems.add(
            shown(dir),
            None,
            "has no migration; write <timestamp>_<name>.sql there, or correct `migrations` under [fleet]",
        );
    }
    names
}

fn text(dir: &Path, name: &str, notes: &mut Vec<String>) -> Result<String, Diagnostic> {
    let path = dir.join(name);
    let bytes = std::fs::read(&path).map_err(|e| Diagnostic {
        file: name.to_owned(),
        line: 1,
        column: 1,
        message: format!("cannot be read: {e}"),
        hint: None,
    })?;
    let canonical = sanderling_sql::canonical(name, &bytes)?;
    if canonical.had_bom {
        notes.push(format!(
            "{}: begins with a byte order mark, which is left out; save it as plain UTF-8",
            shown(&path)
        ));
    }
    Ok(canonical.text)
}

/// Adds a diagnostic, whose file is named from the directory on.
fn problem(dir: &Path, mut diagnostic: Diagnostic, problems: &mut Problems) {
    diagnostic.file = shown(&dir.join(&diagnostic.file));
    problems.add("", None, diagnostic.to_string());
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
