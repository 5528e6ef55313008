//! Takes typed values out of the tree and collects what is wrong with them.

use std::time::Duration;

use config::{Value, ValueKind};
use sanderling_core::waves::Amount;

use super::duration;
use super::error::SettingsError;
use super::source::Tree;

/// Reads values by path. A value of the wrong type is a problem and reads as absent.
pub(super) struct Reader<'a> {
    tree: &'a Tree,
    problems: Vec<String>,
}

/// A dotted path: `hosts.eu1.url`, lists by index.
pub(super) type Path = [String];

/// The path of a key below a parent.
pub(super) fn below(parent: &Path, key: &str) -> Vec<String> {
    [parent, &[key.to_owned()]].concat()
}

/// A path from its dotted form.
pub(super) fn path(dotted: &str) -> Vec<String> {
    dotted.split('.').map(str::to_owned).collect()
}

impl<'a> Reader<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self {
            tree,
            problems: Vec::new(),
        }
    }

    /// Reports something wrong at a path.
    pub(super) fn problem(&mut self, path: &Path, message: impl AsRef<str>) {
        self.problems
            .push(self.tree.problem(path, message.as_ref()));
    }

    /// The value, if nothing was wrong.
    pub(super) fn finish<T>(self, value: T) -> Result<T, SettingsError> {
        if self.problems.is_empty() {
            Ok(value)
        } else {
            Err(SettingsError {
                problems: self.problems,
            })
        }
    }

    /// The names below a path, sorted; the indices of a list in order.
    pub(super) fn names(&self, path: &Path) -> Vec<String> {
        match self.tree.value(path).map(|v| &v.kind) {
            Some(ValueKind::Table(table)) => {
                let mut names: Vec<_> = table.keys().cloned().collect();
                names.sort();
                names
            }
            Some(ValueKind::Array(values)) => (0..values.len()).map(|n| n.to_string()).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether anything stands at a path.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.tree.value(path).is_some()
    }

    /// Text. Never shown in messages: it may be a secret.
    pub(super) fn text(&mut self, path: &Path) -> Option<String> {
        self.typed(path, "must be a text in quotes", |value, _| {
            match &value.kind {
                ValueKind::String(text) => Some(text.clone()),
                // A variable that looks like a number is a text all the same.
                _ => None,
            }
        })
    }

    /// A whole number of at least `least`.
    pub(super) fn count(&mut self, path: &Path, least: u32) -> Option<u32> {
        let number = self.typed(
            path,
            "must be a whole number, without quotes",
            |value, variable| match &value.kind {
                ValueKind::I64(n) => Some(*n),
                ValueKind::String(text) if variable => text.trim().parse().ok(),
                _ => None,
            },
        )?;
        match u32::try_from(number) {
            Ok(number) if number >= least => Some(number),
            Ok(_) | Err(_) if number < i64::from(least) => {
                self.problem(path, format!("must be at least {least}, not {number}"));
                None
            }
            _ => {
                self.problem(
                    path,
                    format!("{number} is too large; at most {} is possible", u32::MAX),
                );
                None
            }
        }
    }

    /// A percentage from 0 to 100.
    pub(super) fn percent(&mut self, path: &Path) -> Option<f64> {
        let number = self.typed(
            path,
            "must be a number of percent, without quotes and without %",
            |value, variable| match &value.kind {
                ValueKind::I64(n) => i32::try_from(*n).ok().map(f64::from),
                ValueKind::Float(n) => Some(*n),
                ValueKind::String(text) if variable => text.trim().parse().ok(),
                _ => None,
            },
        )?;
        if (0.0..=100.0).contains(&number) {
            Some(number)
        } else {
            self.problem(path, format!("must be between 0 and 100, not {number}"));
            None
        }
    }

    /// A whole number of tenants, or a share of them: `5` or `"2%"`.
    pub(super) fn amount(&mut self, path: &Path) -> Option<Amount> {
        let wanted = "must be a whole number of tenants, or a share in quotes such as \"2%\"";
        self.typed(path, wanted, |value, _| match &value.kind {
            ValueKind::I64(n) => u32::try_from(*n).ok().map(Amount::Count),
            ValueKind::String(text) => Amount::parse(text),
            _ => None,
        })
    }

    /// A number.
    pub(super) fn number(&mut self, path: &Path) -> Option<f64> {
        self.typed(
            path,
            "must be a number, without quotes",
            |value, variable| match &value.kind {
                ValueKind::I64(n) => i32::try_from(*n).ok().map(f64::from),
                ValueKind::Float(n) => Some(*n),
                ValueKind::String(text) if variable => text.trim().parse().ok(),
                _ => None,
            },
        )
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, path: &Path) -> Option<bool> {
        self.typed(
            path,
            "must be true or false, without quotes",
            |value, variable| match &value.kind {
                ValueKind::Boolean(flag) => Some(*flag),
                ValueKind::String(text) if variable => text.trim().to_lowercase().parse().ok(),
                _ => None,
            },
        )
    }

    /// A duration of at least `least`.
    pub(super) fn duration(&mut self, path: &Path, least: Duration) -> Option<Duration> {
        let wanted = "must be a duration such as \"500ms\", \"30s\", \"10m\" or \"2h\"";
        let found = self.typed(path, wanted, |value, _| match &value.kind {
            ValueKind::String(text) => duration::parse(text.trim()),
            _ => None,
        })?;
        if found < least {
            self.problem(path, format!("must be at least {}", duration::show(least)));
            return None;
        }
        Some(found)
    }

    /// A list of texts; in a variable, separated by commas.
    pub(super) fn list(&mut self, path: &Path) -> Option<Vec<String>> {
        self.typed(
            path,
            "must be a list of texts, as in [\"a\", \"b\"]",
            |value, variable| match &value.kind {
                ValueKind::Array(values) => values
                    .iter()
                    .map(|v| match &v.kind {
                        ValueKind::String(text) => Some(text.clone()),
                        _ => None,
                    })
                    .collect(),
                ValueKind::String(text) if variable => {
                    Some(text.split(',').map(|part| part.trim().to_owned()).collect())
                }
                _ => None,
            },
        )
    }

    fn typed<T>(
        &mut self,
        path: &Path,
        wanted: &str,
        convert: impl FnOnce(&Value, bool) -> Option<T>,
    ) -> Option<T> {
        let value = self.tree.value(path)?;
        let converted = convert(value, self.tree.is_variable(path));
        if converted.is_none() {
            self.problem(path, wanted);
        }
        converted
    }
}
