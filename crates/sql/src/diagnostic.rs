//! What is wrong with a migration file, and where.

use std::fmt;

/// One finding in a migration file. Prints as `file:line:column: message`, with the way out on a second line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Diagnostic {
    /// The file, as the caller named it.
    pub file: String,
    /// Line in the file, from 1.
    pub line: u32,
    /// Column in that line, in characters from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    pub(crate) fn new(file: &str, (line, column): (u32, u32), message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            column,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            hint,
        } = self;
        write!(f, "{file}:{line}:{column}: {message}")?;
        match hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_place_first_and_the_way_out_below() {
        let bare = Diagnostic::new("1_a.sql", (3, 7), "no");
        assert_eq!(bare.to_string(), "1_a.sql:3:7: no");
        assert_eq!(
            bare.hint("say yes").to_string(),
            "1_a.sql:3:7: no\n  hint: say yes"
        );
    }
}
