//! What a directory tells of the database that its application uses: `.env`, `DATABASE_URL`, `DBMATE_*`, migrations.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use sanderling_sql::Dialect;

use crate::exit::UsageError;

/// Where migrations lie when nobody says.
const DIRECTORIES: [&str; 2] = ["db/migrations", "migrations"];

/// What goes into the configuration.
pub(super) struct Found {
    /// The host's URL as it is to be written: never with a password.
    pub(super) url: String,
    /// The directory of migrations.
    pub(super) migrations: String,
    /// The tenant file.
    pub(super) tenants: String,
    /// What a person has to know.
    pub(super) words: Vec<String>,
}

impl Found {
    /// A fleet of two SQLite files, to try.
    pub(super) fn nothing() -> Self {
        Self {
            url: "sqlite://data".into(),
            migrations: "migrations".into(),
            tenants: "id,host,file,plan\nacme,main,acme.db,free\nglobex,main,globex.db,paid\n"
                .into(),
            words: Vec::new(),
        }
    }

    /// Whether missing files are to be created: those of the fleet to try are.
    pub(super) fn creates(&self) -> bool {
        self.url == "sqlite://data"
    }

    /// Reads `.env` of the directory; what is set in the environment goes before it.
    pub(super) fn look(directory: &Path, base: &Path) -> anyhow::Result<Self> {
        if !directory.is_dir() {
            return Err(UsageError(format!(
                "--from: there is no directory {}",
                directory.display()
            ))
            .into());
        }
        let file = directory.join(".env");
        let written = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", file.display()));
            }
        };
        let in_file = variables(&written);
        let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        let value = |name: &str| match std::env::var(name) {
            Ok(value) if !value.is_empty() => Some(value),
            _ => in_file.get(name).cloned(),
        };
        let mut found = Self::nothing();
        let Some(url) = value("DATABASE_URL") else {
            return Err(UsageError(format!(
                "--from: DATABASE_URL is neither set nor in {}; without --from, `sanderling init` begins with a sample",
                file.display()
            ))
            .into());
        };
        found.database(&url)?;
        if !found.creates() && !is_set("DATABASE_URL") && found.url.contains("DATABASE_URL") {
            found.words.push(format!(
                "{0} is not read by other commands: `set -a; . {0}; set +a` sets DATABASE_URL for them",
                file.display()
            ));
        }
        found.directory(value("DBMATE_MIGRATIONS_DIR"), directory, base)?;
        for name in ["DBMATE_MIGRATIONS_TABLE", "DBMATE_SCHEMA_FILE"] {
            if let Some(value) = value(name) {
                found.words.push(format!(
                    "{name} = {value} was not taken over: Sanderling keeps a ledger of its own in each tenant, sanderling_migrations"
                ));
            }
        }
        Ok(found)
    }

    /// The host, and the one tenant that is known: the application's own database.
    fn database(&mut self, url: &str) -> Result<(), UsageError> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(UsageError("--from: DATABASE_URL has no scheme".into()));
        };
        match scheme {
            "postgres" | "postgresql" => {
                // As a whole: it may hold a password, and that stays where it is.
                self.url = "${DATABASE_URL}".into();
                self.tenants = "id,host,schema\nmain,main,public\n".into();
                self.words.push(
                    "tenants/tenants.csv names one tenant, schema public: put yours there. `sanderling status --discover \
                     '${DATABASE_URL}' --schemas 'tenant_%' --migrations DIR` shows the schemas there are"
                        .into(),
                );
                Ok(())
            }
            "sqlite" | "sqlite3" => {
                let path = Path::new(rest.trim_start_matches("//"));
                let name = path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                let Some(name) = name else {
                    return Err(UsageError(
                        "--from: DATABASE_URL names no file; write sqlite:path/to/file.db".into(),
                    ));
                };
                let above = path
                    .parent()
                    .map(|above| above.to_string_lossy().into_owned());
                let above = above
                    .filter(|above| !above.is_empty())
                    .unwrap_or_else(|| ".".into());
                self.url = format!("sqlite://{above}");
                self.tenants = format!("id,host,file\nmain,main,{name}\n");
                Ok(())
            }
            other => Err(UsageError(format!(
                "--from: DATABASE_URL is a {other} URL; PostgreSQL and SQLite are supported"
            ))),
        }
    }

    /// The directory of migrations, relative to the configuration, and whether its files can be read as they are.
    fn directory(
        &mut self,
        said: Option<String>,
        directory: &Path,
        base: &Path,
    ) -> anyhow::Result<()> {
        let there = |name: &&&str| directory.join(name).is_dir();
        let Some(name) =
            said.or_else(|| DIRECTORIES.iter().find(there).map(|&name| name.to_owned()))
        else {
            return Ok(());
        };
        let name = name
            .trim_start_matches("./")
            .trim_end_matches('/')
            .to_owned();
        let path = directory.join(&name);
        let same = std::fs::canonicalize(directory).ok() == std::fs::canonicalize(base).ok();
        self.migrations = match same {
            true => name,
            false => std::fs::canonicalize(&path)
                .with_context(|| format!("{} is not there", path.display()))?
                .to_string_lossy()
                .into_owned(),
        };
        let dialect = match self.url.starts_with("sqlite") {
            true => Dialect::Sqlite,
            false => Dialect::Postgres,
        };
        if let Err(error) = sanderling_registry::migrations::load(&path, &[dialect]) {
            self.words.push(format!(
                "these migrations do not fit yet, so `plan` and `up` will refuse them:\n{error}"
            ));
        }
        Ok(())
    }
}

/// `NAME=value` lines, as shells and dotenv libraries read them: `export` before, quotes around, `#` behind.
fn variables(text: &str) -> BTreeMap<String, String> {
    let one = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        let name = name.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(fits) {
            return None;
        }
        Some((name.to_owned(), unquoted(value.trim())))
    };
    text.lines().filter_map(one).collect()
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        let inner = value
            .strip_prefix(quote)
            .and_then(|rest| rest.split_once(quote));
        if let Some((inner, _)) = inner {
            return inner.to_owned();
        }
    }
    let end = value.find(" #").unwrap_or(value.len());
    value[..end].trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_an_env_file() {
        let text = "# a comment\nA=1\nexport B = 'x # y'\nC=\"q\" # why\nD=a#b # c\nE=\nnot a line\n1-2=3\n";
        let read = variables(text);
        let expected = [
            ("A", "1"),
            ("B", "x # y"),
            ("C", "q"),
            ("D", "a#b"),
            ("E", ""),
        ];
        let expected: BTreeMap<String, String> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn a_password_is_never_written_down() {
        let mut found = Found::nothing();
        found.database("postgres://u:secret@db/app").unwrap();
        assert_eq!(found.url, "${DATABASE_URL}");
        assert!(!format!("{}{:?}", found.tenants, found.words).contains("secret"));
    }

    #[test]
    fn a_file_is_found_by_its_directory() {
        for (url, host, row) in [
            (
                "sqlite:db/app.sqlite3",
                "sqlite://db",
                "main,main,app.sqlite3",
            ),
            ("sqlite:///var/app.db", "sqlite:///var", "main,main,app.db"),
            ("sqlite3:app.db", "sqlite://.", "main,main,app.db"),
        ] {
            let mut found = Found::nothing();
            found.database(url).unwrap();
            assert_eq!(found.url, host, "{url}");
            assert!(found.tenants.contains(row), "{url}: {}", found.tenants);
        }
        for wrong in ["mysql://u@h/d", "no url", "sqlite:"] {
            assert!(Found::nothing().database(wrong).is_err(), "{wrong}");
        }
    }
}
