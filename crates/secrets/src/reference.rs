//! `${NAME}` references and what they resolve to.

use std::fmt;

/// Text that may contain `${NAME}` references to environment variables. `$$` stands for one dollar sign.
#[derive(Clone, PartialEq, Eq)]
pub struct Reference(String);

/// A text with its references filled in. Cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Resolved(String);

/// A reference that cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error(
        "environment variable {0} is not set; export it, or write $${{{0}}} if the text itself is meant"
    )]
    Unset(String),
    /// A `${` without its `}`, or an empty or odd name.
    #[error("'${{' at character {0} does not begin a reference of the form ${{NAME}}")]
    Malformed(usize),
}

impl Reference {
    /// Keeps the text as it was written.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Fills the references in from the process's environment.
    pub fn resolve(&self) -> Result<Resolved, SecretError> {
        self.resolve_with(|name| std::env::var(name).ok())
    }

    /// Fills the references in from `lookup`.
    pub fn resolve_with(
        &self,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Resolved, SecretError> {
        let mut out = String::with_capacity(self.0.len());
        let mut rest = self.0.as_str();
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let tail = &rest[at + 1..];
            if let Some(escaped) = tail.strip_prefix('$') {
                out.push('$');
                rest = escaped;
            } else if let Some(reference) = tail.strip_prefix('{') {
                let position = self.0.len() - rest.len() + at;
                let (name, after) = reference
                    .split_once('}')
                    .ok_or(SecretError::Malformed(position))?;
                if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                    return Err(SecretError::Malformed(position));
                }
                out.push_str(&lookup(name).ok_or_else(|| SecretError::Unset(name.into()))?);
                rest = after;
            } else {
                out.push('$');
                rest = tail;
            }
        }
        out.push_str(rest);
        Ok(Resolved(out))
    }

    /// The text as written, for messages about the reference itself. It may hold a literal password: never log it.
    pub fn as_written(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reference(..)")
    }
}

impl Resolved {
    /// The value, for the library that connects with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolved(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<String, SecretError> {
        let lookup = |name: &str| (name == "PW").then(|| "s3cret$x".to_owned());
        Reference::new(text)
            .resolve_with(lookup)
            .map(|r| r.expose().to_owned())
    }

    #[test]
    fn references_are_filled_in_once_and_dollars_survive() {
        assert_eq!(
            resolve("postgres://u:${PW}@h/d").as_deref(),
            Ok("postgres://u:s3cret$x@h/d")
        );
        assert_eq!(resolve("a$$b$c$").as_deref(), Ok("a$b$c$"));
        assert_eq!(resolve("$${PW}").as_deref(), Ok("${PW}"));
    }

    #[test]
    fn what_cannot_be_resolved_is_named() {
        assert_eq!(resolve("x${NOPE}"), Err(SecretError::Unset("NOPE".into())));
        assert_eq!(resolve("x${NOPE"), Err(SecretError::Malformed(1)));
        assert_eq!(resolve("${a b}"), Err(SecretError::Malformed(0)));
    }

    #[test]
    fn values_cannot_be_printed() {
        let secret = Reference::new("${PW}").resolve_with(|_| Some("hunter2".into()));
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
