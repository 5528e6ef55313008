//! Reads file and environment into one tree of values.

use std::path::{Path, PathBuf};

use config::{Config, ConfigError, Environment, File, FileFormat, Map, Value, ValueKind};

use super::error::SettingsError;
use super::keys;
use super::locate::Lines;

/// Settings' variables begin so.
const PREFIX: &str = "SANDERLING_";
/// The sections that a variable may name; lists cannot be given by variables.
const SECTIONS: [&str; 7] = [
    "FLEET", "CONTROL", "CLAIMS", "WORKER", "HOSTS", "ROLLOUT", "RETRY",
];
/// What to write where there is no file yet.
const EXAMPLE: &str = "
  [fleet]
  name = \"prod\"
  migrations = \"migrations\"
  tenants = [\"tenants/*.csv\"]

  [hosts.main]
  url = \"postgres://migrator:${MAIN_PASSWORD}@db.internal:5432/app\"";

/// The merged values, and where each came from.
#[derive(Debug)]
pub(super) struct Tree {
    /// The file's name, for messages.
    pub(super) file: PathBuf,
    root: Value,
    lines: Lines,
}

/// Reads the file and the variables of the environment that are settings.
///
/// # Errors
/// File absent or not TOML; keys that are unknown or not supported yet.
pub(super) fn read(
    file: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Tree, SettingsError> {
    let text = text(file)?;
    let (variables, mut problems) = variables(environment);
    let built = Config::builder()
        .add_source(File::from_str(&text, FileFormat::Toml))
        .add_source(
            Environment::with_prefix("SANDERLING")
                .prefix_separator("_")
                .separator("__")
                .source(Some(variables)),
        )
        .build()
        .map_err(|e| SettingsError::one(not_toml(file, &e)))?;
    let tree = Tree {
        file: file.to_owned(),
        root: built.cache,
        lines: Lines::of(&text),
    };
    keys::check(&tree.root, &keys::ROOT, &[], &mut |path, message| {
        problems.push(tree.problem(path, &message));
    });
    if problems.is_empty() {
        Ok(tree)
    } else {
        Err(SettingsError { problems })
    }
}

fn text(file: &Path) -> Result<String, SettingsError> {
    let shown = file.display();
    let bytes = std::fs::read(file).map_err(|e| {
        SettingsError::one(if e.kind() == std::io::ErrorKind::NotFound {
            format!("{shown} does not exist; name another file with --config FILE, or write this one, beginning with:\n{EXAMPLE}\n")
        } else {
            format!("{shown} cannot be read: {e}")
        })
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| SettingsError::one(format!("{shown} is not UTF-8 text; save it as UTF-8")))?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}

/// The variables that are settings, and what is wrong with those that look like settings.
///
/// A setting has a double underscore (`SANDERLING_CONTROL__URL`). What has none belongs to someone else
/// (`SANDERLING_LOG`), unless it begins with the name of a section: then an underscore was forgotten.
fn variables(
    environment: impl IntoIterator<Item = (String, String)>,
) -> (Map<String, String>, Vec<String>) {
    let mut settings = Map::new();
    let mut problems = Vec::new();
    for (name, value) in environment {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if value.is_empty() || rest.starts_with("TEST_") {
            continue;
        }
        if rest.starts_with("ROLLOUT__WAVES") {
            problems.push(format!(
                "{name}: waves cannot be given by a variable; use the file, or --waves"
            ));
        } else if rest.contains("__") {
            settings.insert(name, value);
        } else if let Some((section, key)) = rest.split_once('_')
            && SECTIONS.contains(&section)
        {
            problems.push(format!(
                "{name} is no setting; did you mean {PREFIX}{section}__{key}?"
            ));
        }
    }
    problems.sort();
    (settings, problems)
}

/// `file:line:column: message`, without the line itself: it may hold a password.
fn not_toml(file: &Path, error: &ConfigError) -> String {
    let text = match error {
        ConfigError::FileParse { cause, .. } => cause.to_string(),
        other => other.to_string(),
    };
    let numbers: Vec<&str> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_digit())
        .filter(|n| !n.is_empty())
        .collect();
    let message = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|l| !l.is_empty())
        .unwrap_or_default();
    match numbers[..] {
        [line, column] => format!(
            "{}:{line}:{column}: not valid TOML: {message}",
            file.display()
        ),
        _ => format!("{}: {message}", file.display()),
    }
}

impl Tree {
    /// The value at a path; list elements by their index.
    pub(super) fn value(&self, path: &[String]) -> Option<&Value> {
        path.iter()
            .try_fold(&self.root, |value, key| match &value.kind {
                ValueKind::Table(table) => table.get(key),
                ValueKind::Array(values) => values.get(key.parse::<usize>().ok()?),
                _ => None,
            })
    }

    /// Whether the value at a path came from a variable.
    pub(super) fn is_variable(&self, path: &[String]) -> bool {
        self.value(path).and_then(Value::origin) == Some("the environment")
    }

    /// The variable that the value at a path came from; of a table that only variables have made, the first one.
    fn variable(&self, path: &[String]) -> Option<Vec<String>> {
        let mut path = path.to_vec();
        while let ValueKind::Table(table) = &self.value(&path)?.kind {
            let ours = |key: &&String| {
                let mut below = path.clone();
                below.push((*key).clone());
                self.variable(&below).is_some()
            };
            let first = table.keys().min()?.clone();
            if !table.keys().all(|key| ours(&key)) {
                return None;
            }
            path.push(first);
        }
        self.is_variable(&path).then_some(path)
    }

    /// A sentence with the place of a key in front: `sanderling.toml:12: worker.slots: …`, or the variable's name.
    pub(super) fn problem(&self, path: &[String], message: &str) -> String {
        if let Some(variable) = self.variable(path) {
            return format!("{PREFIX}{}: {message}", variable.join("__").to_uppercase());
        }
        let line = self
            .lines
            .find(path)
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        format!(
            "{}{line}: {}: {message}",
            self.file.display(),
            path.join(".")
        )
    }
}
