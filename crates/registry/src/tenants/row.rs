//! One row as it was read, before it is checked.

use std::collections::BTreeMap;

/// The keys that a row may have besides its labels.
pub(super) const KNOWN: [&str; 7] = ["id", "host", "url", "database", "schema", "file", "size"];

/// Where a row stands: index of its file, line and column from 1; column 0 where the format has none to give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    pub(super) file: u32,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A row's cells. What is empty or absent is `None`.
#[derive(Default)]
pub(super) struct Row {
    pub(super) at: At,
    pub(super) id: Option<String>,
    pub(super) host: Option<String>,
    /// May hold what should not be shown.
    pub(super) url: Option<String>,
    pub(super) database: Option<String>,
    pub(super) schema: Option<String>,
    pub(super) file: Option<String>,
    pub(super) size: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
}

impl Row {
    /// The cell of a key in `KNOWN`; `None` for any other key.
    pub(super) fn cell(&mut self, key: &str) -> Option<&mut Option<String>> {
        Some(match key {
            "id" => &mut self.id,
            "host" => &mut self.host,
            "url" => &mut self.url,
            "database" => &mut self.database,
            "schema" => &mut self.schema,
            "file" => &mut self.file,
            "size" => &mut self.size,
            _ => return None,
        })
    }
}

/// Why a label of this name could not be selected by, if it could not.
pub(super) fn label_refused(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("a label needs a name".into())
    } else if name == "id" || name == "host" {
        Some(format!(
            "a label cannot be called {name:?}: selectors use that word for the tenant's own {name}"
        ))
    } else if name.contains(['=', '!', ','])
        || name.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        Some(format!(
            "label name {name:?} has a space or one of `=`, `!`, `,`, which selectors cannot express; rename it"
        ))
    } else {
        None
    }
}
