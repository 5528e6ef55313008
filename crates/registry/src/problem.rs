//! Everything that is wrong with what an operator handed us, in one error.

use std::fmt;

/// How many problems are listed before the rest is only counted: a screen, not a scroll.
const LISTED: usize = 50;

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `file`, `file:line` or `file:line:column`; empty where no file is at fault.
    pub at: String,
    /// The tenant, where one is known.
    pub tenant: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    /// One line: `tenants/eu.csv:12: tenant "acme": unknown host …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        if let Some(tenant) = &self.tenant {
            write!(f, "tenant {tenant:?}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// The registry or the migration directory cannot be used. Lists its problems, each on a line of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct RegistryError {
    /// The first problems, in the order of reading; never empty.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more: usize,
    /// What looked odd besides, and may explain the problems.
    pub notes: Vec<String>,
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\n… and {} more problems", self.more)?;
        }
        for note in &self.notes {
            write!(f, "\nnote: {note}")?;
        }
        Ok(())
    }
}

/// Collects problems, so that one reading finds them all.
#[derive(Debug, Default)]
pub(crate) struct Problems(RegistryError);

impl Problems {
    /// Adds a problem, or only counts it when there are enough.
    pub(crate) fn add(
        &mut self,
        at: impl Into<String>,
        tenant: Option<&str>,
        message: impl Into<String>,
    ) {
        if self.0.problems.len() < LISTED {
            self.0.problems.push(Problem {
                at: at.into(),
                tenant: tenant.map(str::to_owned),
                message: message.into(),
            });
        } else {
            self.0.more += 1;
        }
    }

    /// How many there are so far.
    pub(crate) fn count(&self) -> usize {
        self.0.problems.len() + self.0.more
    }

    /// The value, if nothing was wrong.
    pub(crate) fn into_result<T>(
        mut self,
        notes: Vec<String>,
        value: impl FnOnce(Vec<String>) -> T,
    ) -> Result<T, RegistryError> {
        if self.0.problems.is_empty() {
            return Ok(value(notes));
        }
        self.0.notes = notes;
        Err(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_a_screenful_and_counts_the_rest() {
        let mut problems = Problems::default();
        for n in 0..60 {
            problems.add(format!("a.csv:{n}"), Some("t\n1"), "no host");
        }
        let error = problems
            .into_result(vec!["odd".into()], |_| ())
            .unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("a.csv:0: tenant \"t\\n1\": no host\n"));
        assert!(text.ends_with("\n… and 10 more problems\nnote: odd"));
        assert_eq!(text.lines().count(), 52);
    }
}
