//! The way back of a migration: the statements that undo it in one transaction, or why there are none.

use crate::diagnostic::Diagnostic;
use crate::migration::{Dialect, Migration, Statement};
use crate::position::position;

impl Migration {
    /// The statements of the Down section, where they undo the migration in one transaction.
    ///
    /// # Errors
    /// Where the file says that nothing does: it is irreversible, it has no Down section or an empty one, or it runs
    /// without a transaction, so that a way back that breaks off would leave nobody knows what. Also what is wrong with
    /// the section in this dialect.
    pub fn undo(&self, dialect: Dialect) -> Result<Vec<Statement>, Diagnostic> {
        let refuse = |at, message: String, hint: &str| {
            Err(Diagnostic::new(&self.file, at, message).hint(hint))
        };
        if let Some(why) = &self.header.irreversible {
            return refuse(
                self.header_line("irreversible="),
                format!("version {} is irreversible: {why}", self.version),
                "write a new migration that sets right what has to be",
            );
        }
        if !self.header.transaction {
            return refuse(
                self.header_line("transaction="),
                format!(
                    "version {} runs without a transaction (transaction=off), and is not taken back: a way back that broke \
                     off would leave it half undone",
                    self.version
                ),
                "write a new migration that undoes it",
            );
        }
        match self.down_statements(dialect) {
            Some(Ok(statements)) => Ok(statements),
            Some(Err(mut problems)) if !problems.is_empty() => Err(problems.swap_remove(0)),
            _ => {
                let down = self
                    .reading(dialect)
                    .ok()
                    .and_then(|reading| reading.down.as_ref());
                let (at, what) = match down {
                    Some(down) => (position(self.text(), down.at), "its Down section is empty"),
                    None => ((1, 1), "it has no Down section"),
                };
                refuse(
                    at,
                    format!("version {} cannot be taken back: {what}", self.version),
                    "write a new migration that undoes it (the file has been applied: its text must stay as it is)",
                )
            }
        }
    }

    /// Where the header says so.
    fn header_line(&self, setting: &str) -> (u32, u32) {
        let comment = |line: &str| line.trim_start().starts_with("--") && line.contains(setting);
        let mut start = 0;
        for line in self.text().split_inclusive('\n') {
            if comment(line) {
                let column = line.find(setting).unwrap_or(0);
                return position(self.text(), start + column);
            }
            start += line.len();
        }
        (1, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::parse;

    fn undo(text: &str) -> Result<Vec<String>, String> {
        let migration = parse("7_x.sql", text).unwrap();
        let undone = migration.undo(Dialect::Postgres);
        undone
            .map(|all| all.into_iter().map(|statement| statement.text).collect())
            .map_err(|why| why.to_string().lines().next().unwrap().to_owned())
    }

    #[test]
    fn a_down_section_undoes_a_migration() {
        let text =
            "-- +migrate Up\nCREATE TABLE a (n int);\n-- +migrate Down\nDROP TABLE a;\nSELECT 1;\n";
        assert_eq!(
            undo(text),
            Ok(vec!["DROP TABLE a".into(), "SELECT 1".into()])
        );
    }

    #[test]
    fn what_cannot_be_undone_says_why_and_where() {
        let up = "-- +migrate Up\nDELETE FROM a;\n";
        let cases = [
            (
                String::new(),
                up.to_owned(),
                "7_x.sql:1:1: version 7 cannot be taken back: it has no Down section",
            ),
            (
                String::new(),
                format!("{up}-- +migrate Down\n-- nothing\n"),
                "7_x.sql:3:1: version 7 cannot be taken back: its Down section is empty",
            ),
            (
                "-- what\n-- sanderling: phase=contract irreversible=\"the rows are gone\"\n"
                    .into(),
                up.to_owned(),
                "7_x.sql:2:31: version 7 is irreversible: the rows are gone",
            ),
            (
                "-- sanderling: transaction=off\n".into(),
                format!("{up}-- +migrate Down\nSELECT 1;\n"),
                "7_x.sql:1:16: version 7 runs without a transaction (transaction=off), and is not taken back: a way back that broke off would leave it half undone",
            ),
        ];
        for (header, body, expected) in cases {
            assert_eq!(undo(&format!("{header}{body}")), Err(expected.to_owned()));
        }
    }
}
