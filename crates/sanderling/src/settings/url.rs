//! A URL that may hold references to secrets, and may be a path relative to the configuration file.

use std::path::{Path, PathBuf};

use sanderling_registry::{ServerUrl, UrlTemplate};
use sanderling_secrets::{Reference, Resolved};

use super::error::SettingsError;
use super::reader::Reader;

/// A URL as it was configured. Its references are resolved where it is used; its text is never shown.
#[derive(Clone, Debug)]
pub(crate) struct ConfiguredUrl {
    reference: Reference,
    /// The key's name in the file, for messages.
    key: String,
    base: PathBuf,
}

impl ConfiguredUrl {
    pub(super) fn new(written: &str, key: String, base: &Path) -> Self {
        let reference = Reference::new(match relative(written) {
            // What begins with a reference may turn out to be absolute.
            Some(path) if !path.starts_with('$') => below(&escaped(&base.to_string_lossy()), path),
            _ => written.to_owned(),
        });
        Self {
            reference,
            key,
            base: base.to_owned(),
        }
    }

    /// The URL with its references filled in; a relative SQLite path starts at the configuration file's directory.
    ///
    /// # Errors
    /// A reference that cannot be resolved; names the key and the variable.
    pub(crate) fn resolve(&self) -> Result<Resolved, SettingsError> {
        let unresolved = |e| SettingsError::one(format!("{}: {e}", self.key));
        let resolved = self.reference.resolve().map_err(unresolved)?;
        match relative(resolved.expose()) {
            Some(path) => Reference::new(escaped(&below(&self.base.to_string_lossy(), path)))
                .resolve()
                .map_err(unresolved),
            None => Ok(resolved),
        }
    }

    /// The reference, for who resolves it itself. A URL whose scheme is written out is no longer relative.
    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The scheme, `postgres` of `postgres://…`. Looks into a reference only where that is all there is to look at.
    pub(crate) fn scheme(&self) -> Option<String> {
        let scheme = |text: &str| {
            text.split_once(':')
                .map(|(scheme, _)| scheme.to_lowercase())
        };
        if self.reference.as_written().starts_with("${") {
            return scheme(self.reference.resolve().ok()?.expose());
        }
        scheme(self.reference.as_written())
    }

    /// `HOST:PORT` in one spelling, where it is written out.
    pub(super) fn written_address(&self) -> Option<String> {
        let url = ServerUrl::parse(self.reference.as_written()).ok()?;
        Some(url.address().to_owned())
    }

    /// The database that the URL names, where it is written out.
    pub(super) fn written_database(&self) -> Option<String> {
        let (_, rest) = self.reference.as_written().split_once("://")?;
        let (_, path) = rest.rsplit_once('/')?;
        let database = path.split(['?', '#']).next()?;
        (!database.is_empty() && !database.contains(['$', '%', '{'])).then(|| database.to_owned())
    }
}

/// Reads a URL and checks its scheme; says nothing of its text, which may hold a password.
pub(super) fn read(
    reader: &mut Reader<'_>,
    key: &[String],
    default: Option<&str>,
    schemes: &[&str],
    base: &Path,
) -> ConfiguredUrl {
    let url = read_any(reader, key, default, schemes, base);
    if url.reference.as_written().contains("{{") {
        reader.problem(
            key,
            "has a template ({{…}}); only the url of a host, which tenants name, can have one",
        );
    }
    url
}

/// As [`read`], for a URL that may have places for what a tenant's row says; and the template, if it has.
pub(super) fn read_template(
    reader: &mut Reader<'_>,
    key: &[String],
    schemes: &[&str],
    base: &Path,
) -> (ConfiguredUrl, Option<UrlTemplate>) {
    let url = read_any(reader, key, None, schemes, base);
    let template = match template(url.reference.as_written()) {
        Ok(template) => template,
        Err(wrong) => {
            reader.problem(key, wrong);
            None
        }
    };
    (url, template)
}

/// The template that a URL is, if every tenant could be reached by what it makes.
fn template(written: &str) -> Result<Option<UrlTemplate>, String> {
    let Some(template) = UrlTemplate::parse(written)? else {
        return Ok(None);
    };
    if written.starts_with("sqlite") {
        return Err(
            "has a template ({{…}}), which is for PostgreSQL; a row names its file below the directory".to_owned(),
        );
    }
    let url = ServerUrl::parse(&template.sample())
        .map_err(|wrong| format!("{wrong} when its template is filled in"))?;
    if url.has_password() {
        return Err(
            "holds a password as it is, and what a template makes goes to workers through the control store: write a \
             reference in its place, as in postgres://app:${PASSWORD}@{{label.shard}}.db:5432/app; it is resolved where it \
             is used and never stored"
                .to_owned(),
        );
    }
    Ok(Some(template))
}

fn read_any(
    reader: &mut Reader<'_>,
    key: &[String],
    default: Option<&str>,
    schemes: &[&str],
    base: &Path,
) -> ConfiguredUrl {
    let written = reader.text(key);
    if written.is_none() && default.is_none() && !reader.has(key) {
        reader.problem(key, "is missing");
    }
    let given = written.is_some();
    let written = written.or(default.map(str::to_owned)).unwrap_or_default();
    let url = ConfiguredUrl::new(&written, key.join("."), base);
    if !given {
        return url;
    }
    let list = schemes
        .iter()
        .map(|s| format!("{s}://"))
        .collect::<Vec<_>>()
        .join(", ");
    match url.scheme().as_deref() {
        // A scheme inside a reference that is not set: whoever uses the URL will name the variable.
        None if written.starts_with("${") => {}
        Some(scheme) if !schemes.contains(&scheme) => {
            let later = ["mysql", "mariadb"];
            let yet = if later.contains(&scheme) {
                "not supported yet"
            } else {
                "not supported here"
            };
            reader.problem(
                key,
                format!("{scheme}:// is {yet}; one of {list} is needed"),
            );
        }
        Some("sqlite") if written.contains(":memory:") => {
            reader.problem(
                key,
                "a database in memory would be lost and cannot be shared; name a file",
            );
        }
        Some(_) => {}
        None => reader.problem(key, format!("is not a URL; it begins with one of {list}")),
    }
    url
}

/// The path of a SQLite URL, if it is relative.
fn relative(url: &str) -> Option<&str> {
    let path = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))?;
    (!path.starts_with('/') && !path.is_empty()).then_some(path)
}

fn below(base: &str, path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    format!("sqlite://{}/{path}", base.trim_end_matches('/'))
}

/// Text that resolves to itself.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}
