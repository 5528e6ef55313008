//! A migration file as a value.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::diagnostic::Diagnostic;
use crate::header::Header;
use crate::name;
use crate::position::{Source, position};
use crate::reading::{Reading, Section, read};
use crate::refuse::sending;
use crate::sending::Sending;
use crate::split::split;

/// The SQL dialect that a text is split for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 2] = [Self::Postgres, Self::Sqlite];

    /// The word for programs: labels of metrics, traits of tenants.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        })
    }
}

/// One statement of a migration, with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text, without the final semicolon.
    pub text: String,
    /// Line of its first token in the file, from 1.
    pub line: u32,
    /// Column of its first token, in characters from 1.
    pub column: u32,
    /// How it may be sent.
    pub sending: Sending,
}

impl Statement {
    /// Line and column in the file of a character of `text`, counted from 0 in characters (not bytes). What lies
    /// past the end is taken for the end.
    pub fn locate(&self, char_offset_in_text: usize) -> (u32, u32) {
        let byte = self
            .text
            .char_indices()
            .nth(char_offset_in_text)
            .map_or(self.text.len(), |(byte, _)| byte);
        match position(&self.text, byte) {
            (1, column) => (self.line, self.column.saturating_add(column - 1)),
            (line, column) => (self.line.saturating_add(line - 1), column),
        }
    }
}

/// A migration file, read and understood as far as no dialect is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The digits in front of its file name, as written.
    pub version: String,
    /// What follows them in the file name, without `.sql`.
    pub name: String,
    /// The file, as the caller named it.
    pub file: String,
    /// SHA-256 of the canonical text: 64 hex digits.
    pub checksum: String,
    /// What it says about itself.
    pub header: Header,
    /// Line and column of the value of `requires`; the beginning of the file where there is none.
    requires_at: (u32, u32),
    text: String,
    readings: [Result<Reading, Vec<Diagnostic>>; 2],
}

impl Migration {
    /// The canonical text of the whole file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The statements of the Up section, in order.
    ///
    /// # Errors
    /// Everything that is wrong with the section in this dialect.
    pub fn statements(&self, dialect: Dialect) -> Result<Vec<Statement>, Vec<Diagnostic>> {
        let reading = self.reading(dialect).map_err(<[_]>::to_vec)?;
        self.section(dialect, &reading.up)
    }

    /// The statements of the Down section, in order. `None` where there is none, or none with a statement: then
    /// the migration cannot be undone.
    ///
    /// # Errors
    /// Everything that is wrong with the section in this dialect.
    pub fn down_statements(
        &self,
        dialect: Dialect,
    ) -> Option<Result<Vec<Statement>, Vec<Diagnostic>>> {
        let reading = match self.reading(dialect) {
            Ok(reading) => reading,
            Err(problems) => return Some(Err(problems.to_vec())),
        };
        let statements = self.section(dialect, reading.down.as_ref()?);
        match statements {
            Ok(statements) if statements.is_empty() => None,
            other => Some(other),
        }
    }

    pub(crate) fn requires_at(&self) -> (u32, u32) {
        self.requires_at
    }

    pub(crate) fn reading(&self, dialect: Dialect) -> Result<&Reading, &[Diagnostic]> {
        let [postgres, sqlite] = &self.readings;
        match dialect {
            Dialect::Postgres => postgres.as_ref(),
            Dialect::Sqlite => sqlite.as_ref(),
        }
        .map_err(Vec::as_slice)
    }

    fn section(
        &self,
        dialect: Dialect,
        section: &Section,
    ) -> Result<Vec<Statement>, Vec<Diagnostic>> {
        let source = Source::new(&self.file, &self.text);
        let mut statements = Vec::new();
        let mut problems = Vec::new();
        for segment in &section.segments {
            let pieces = split(&source, dialect, segment).unwrap_or_else(|problem| {
                problems.push(problem);
                Vec::new()
            });
            for piece in pieces {
                let apart = !self.header.transaction;
                let sending = match sending(&source, dialect, &piece, apart) {
                    Ok(sending) => sending,
                    Err(refused) => {
                        problems.push(refused.diagnostic);
                        if refused.data_follows {
                            return Err(problems);
                        }
                        continue;
                    }
                };
                let range = piece.range();
                let (line, column) = source.position(range.start);
                statements.push(Statement {
                    text: self.text[range].to_owned(),
                    line,
                    column,
                    sending,
                });
            }
        }
        if problems.is_empty() {
            Ok(statements)
        } else {
            Err(problems)
        }
    }
}

/// Reads one migration file. `text` is canonical (see [`canonical`](crate::canonical())).
///
/// The text is read as each dialect would read it. What only one of them can read stays a migration of that one,
/// and `statements` of the other says why.
///
/// # Errors
/// Everything that is wrong with the file in every dialect.
pub fn parse(file: &str, text: &str) -> Result<Migration, Vec<Diagnostic>> {
    parse_for(file, text, &Dialect::ALL)
}

/// The same, but what dialects other than `dialects` make of the text is no error.
pub(crate) fn parse_for(
    file: &str,
    text: &str,
    dialects: &[Dialect],
) -> Result<Migration, Vec<Diagnostic>> {
    let (version, name) = name::split(file).map_err(|problem| vec![problem])?;
    let source = Source::new(file, text);
    let readings = Dialect::ALL.map(|dialect| read(&source, dialect));
    let asked = Dialect::ALL
        .into_iter()
        .zip(&readings)
        .filter(|(dialect, _)| dialects.contains(dialect));
    let (mut headers, mut problems) = (Vec::new(), Vec::new());
    for (dialect, reading) in asked {
        match reading {
            Ok(reading) => headers.push((&reading.header, reading.requires_at)),
            Err(found) => problems.push((dialect, found)),
        }
    }
    let (header, requires_at) = match headers.as_slice() {
        [(one, _), (other, _)] if one != other => {
            return Err(vec![
                source
                    .diagnostic(
                        0,
                        "PostgreSQL and SQLite read the header of this file differently",
                    )
                    .hint(
                        "comments nest for PostgreSQL only: take `/*` out of the comment in front",
                    ),
            ]);
        }
        [(header, requires_at), ..] => ((*header).clone(), requires_at.unwrap_or(0)),
        [] => return Err(common(&problems)),
    };
    Ok(Migration {
        version,
        name,
        file: file.to_owned(),
        checksum: checksum(text),
        header,
        requires_at: source.position(requires_at),
        text: text.to_owned(),
        readings,
    })
}

/// What every dialect objects to; where they object to different things, all of it.
fn common(problems: &[(Dialect, &Vec<Diagnostic>)]) -> Vec<Diagnostic> {
    let of_all: Vec<_> = problems
        .first()
        .into_iter()
        .flat_map(|(_, found)| found.iter())
        .filter(|problem| problems.iter().all(|(_, found)| found.contains(problem)))
        .cloned()
        .collect();
    if !of_all.is_empty() {
        return of_all;
    }
    let mut all = Vec::new();
    for (dialect, found) in problems {
        all.extend(found.iter().map(|problem| Diagnostic {
            message: format!("read as {dialect}: {}", problem.message),
            ..problem.clone()
        }));
    }
    all.sort();
    all
}

fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
