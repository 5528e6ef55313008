//! `sanderling init [--from DIR]`

mod found;

use std::path::{Path, PathBuf};

use super::new::written;
use crate::cli::Init;
use crate::exit::Exit;
use crate::printer::Printer;
use found::Found;

const CONFIGURATION: &str = include_str!("init/sanderling.toml");

/// A migration that can be applied, so that the first `up` has something to show.
const MIGRATION: &str = "-- +migrate Up\nCREATE TABLE example (id BIGINT PRIMARY KEY, name TEXT NOT NULL);\n\n\
     -- +migrate Down\nDROP TABLE example;\n";

/// Writes what is missing for a first `up`, and says what to do next. Nothing that is there is touched.
pub(crate) fn run(printer: Printer, config: &Path, args: &Init) -> anyhow::Result<Exit> {
    let base = match config.parent() {
        Some(above) if !above.as_os_str().is_empty() => above.to_owned(),
        _ => PathBuf::from("."),
    };
    let found = match &args.from {
        Some(directory) => Found::look(directory, &base)?,
        None => Found::nothing(),
    };
    let text = CONFIGURATION
        .replace("@NAME@", &name_of(&base))
        .replace("@MIGRATIONS@", &toml(&found.migrations))
        .replace("@CREATE@", if found.creates() { "true " } else { "false" })
        .replace("@URL@", &toml(&found.url));
    let mut files = Vec::new();
    let name = config.file_name().unwrap_or(config.as_os_str());
    files.push(written(&base, &name.to_string_lossy(), &text)?);
    if !has_csv(&base.join("tenants")) {
        files.push(written(&base, "tenants/tenants.csv", &found.tenants)?);
    }
    if !base.join(&found.migrations).is_dir() {
        let first = format!("{}/0001_example.sql", found.migrations);
        files.push(written(&base, &first, MIGRATION)?);
    }
    printer.json(&serde_json::json!({ "files": files }))?;
    for file in &files {
        printer.result(&format!("wrote {}", file.display()));
    }
    for word in &found.words {
        printer.warn(word);
    }
    printer.talk(
        "next: list your tenants in tenants/*.csv, then `sanderling doctor`, `sanderling plan` and `sanderling up`",
    );
    Ok(Exit::Done)
}

/// The directory's name, as far as a fleet can have it.
fn name_of(base: &Path) -> String {
    let full = std::fs::canonicalize(base).unwrap_or_else(|_| base.to_owned());
    let name = full
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase());
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let name: String = name
        .unwrap_or_default()
        .chars()
        .filter(|&c| fits(c))
        .take(40)
        .collect();
    if name.is_empty() {
        "fleet".to_owned()
    } else {
        name
    }
}

/// Between the quotes of a TOML string.
fn toml(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn has_csv(directory: &Path) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .any(|path| path.extension().is_some_and(|extension| extension == "csv"))
}
