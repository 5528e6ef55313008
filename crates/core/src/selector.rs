//! Which tenants: terms that must all hold.

mod glob;
mod serves;
mod term;

pub use glob::Glob;
pub use serves::{Serves, WrittenLabels};
pub use term::{SelectorError, Term};

use std::fmt;

use crate::tenant::Tenant;

/// Comma-separated terms, all of which must hold: `id=GLOB`, `host=NAME`, `label=value`, each also with `!=`, and a
/// bare word for one id.
///
/// `id` and `host` are never labels here. A label that a tenant lacks differs from every value, so `plan!=free`
/// takes tenants without a plan too. Values cannot contain a comma.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    terms: Vec<Term>,
}

impl Selector {
    /// Takes every tenant.
    pub fn everyone() -> Self {
        Self::default()
    }

    /// Parses the text of `--tenants`.
    ///
    /// # Errors
    /// The term that cannot be read, or two ids, which never hold for one tenant.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let terms: Vec<Term> = text
            .split(',')
            .map(|term| Term::parse(term.trim()))
            .collect::<Result<_, _>>()?;
        let mut ids = terms.iter().filter_map(Term::single_id);
        if let Some(first) = ids.next()
            && let Some(second) = ids.find(|id| *id != first)
        {
            return Err(SelectorError::TwoIds {
                first: first.into(),
                second: second.into(),
            });
        }
        Ok(Self { terms })
    }

    /// Whether every term holds for the tenant.
    pub fn matches(&self, tenant: &Tenant) -> bool {
        self.terms.iter().all(|term| term.matches(tenant))
    }

    /// Whether there is no term, so that every tenant matches.
    pub fn is_everyone(&self) -> bool {
        self.terms.is_empty()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{term}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ids::TenantId;
    use crate::testing::place;

    fn tenant(id: &str, labels: &[(&str, &str)]) -> Tenant {
        Tenant {
            id: TenantId::new(id),
            place: place("eu1"),
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_string(), (*v).to_string()))
                .collect::<BTreeMap<_, _>>(),
            size: None,
        }
    }

    fn takes(selector: &str, tenant: &Tenant) -> bool {
        Selector::parse(selector).unwrap().matches(tenant)
    }

    #[test]
    fn all_terms_must_hold() {
        let acme = tenant("acme", &[("plan", "pro"), ("region", "eu")]);
        for yes in [
            "acme",
            "id=ac*",
            "id=a?me, plan=pro",
            "host=eu1,region=eu",
            "plan!=free,beta!=yes",
            "id!=b*",
            "host!=eu2",
        ] {
            assert!(takes(yes, &acme), "{yes}");
        }
        for no in ["acm", "id=b*", "plan=pro,region=us", "host=eu", "plan!=pro"] {
            assert!(!takes(no, &acme), "{no}");
        }
        assert!(Selector::everyone().matches(&acme));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, says) in [
            ("", "an empty term"),
            ("plan=pro,", "an empty term"),
            ("=pro", "`=pro` names no label"),
            ("plan=", "`plan=` has no value"),
            ("acme*", "write `id=acme*`"),
            ("a,b", "no tenant is both `a` and `b`"),
            ("plan==pro", "`plan==pro`"),
        ] {
            let error = Selector::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_selector_prints_as_it_can_be_read_again() {
        let text = "acme,id=a*,host!=eu2,plan=pro";
        let selector = Selector::parse(text).unwrap();
        assert_eq!(selector.to_string(), text);
        assert_eq!(Selector::parse(&selector.to_string()).unwrap(), selector);
    }
}
