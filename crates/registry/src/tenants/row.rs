//! One row as it was read, before it is checked.

use std::collections::BTreeMap;

/// The keys that a row may have besides its labels.
pub(super) const KNOWN: [&str; 6] = ["id", "host", "database", "schema", "file", "size"];

/// Why a row that brings its own URL is refused.
pub(super) const URL_REFUSED: &str = "`url` is not supported yet: define the server under [hosts.<name>] in sanderling.toml and name it in `host`";

/// Where a row stands: index of its file, line and column from 1; column 0 where the format has none to give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    pub(super) file: u32,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A row's cells. What is empty or absent is `None`.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) at: At,
    pub(super) id: Option<String>,
    pub(super) host: Option<String>,
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
