//! Which tenants a worker serves: a selector that a store can ask its tables for.

use std::collections::BTreeMap;
use std::fmt;

use super::Selector;
use super::term::{SelectorError, Term};
use crate::ids::HostName;

/// Terms over labels and hosts, all of which must hold. Ids are not among them: workers are told apart by where they run
/// and what they may reach, and a rollout is told whom it takes by `--tenants`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serves(Selector);

/// The labels of a tenant as one text, in which each pair can be found as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenLabels(String);

impl WrittenLabels {
    /// Writes labels out.
    pub fn of(labels: &BTreeMap<String, String>) -> Self {
        Self(labels.iter().map(|(key, value)| pair(key, value)).collect())
    }

    /// As they were read back.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One label as it stands among others: a JSON list, which no other pair holds, because inside of one quotes are escaped.
fn pair(key: &str, value: &str) -> String {
    serde_json::Value::from(vec![key, value]).to_string()
}

impl Serves {
    /// Every tenant.
    pub fn everyone() -> Self {
        Self::default()
    }

    /// Reads a selector.
    ///
    /// # Errors
    /// A term that cannot be read, or that names ids.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let selector = Selector::parse(text)?;
        let of_ids = |term: &&Term| matches!(term, Term::Only(_) | Term::Id { .. });
        match selector.terms.iter().find(of_ids) {
            Some(term) => Err(SelectorError::ServesIds(term.to_string())),
            None => Ok(Self(selector)),
        }
    }

    /// Whether there is no term.
    pub fn is_everyone(&self) -> bool {
        self.0.is_everyone()
    }

    /// Whether tenants of a host may be served.
    pub fn takes_host(&self, host: &HostName) -> bool {
        self.0.terms.iter().all(|term| match term {
            Term::Host { name, equal } => (name == host.as_str()) == *equal,
            _ => true,
        })
    }

    /// The labels that decide: how each pair is written, and whether it must be there or must not.
    pub fn pairs(&self) -> Vec<(String, bool)> {
        let of_label = |term: &Term| match term {
            Term::Label { key, value, equal } => Some((pair(key, value), *equal)),
            _ => None,
        };
        self.0.terms.iter().filter_map(of_label).collect()
    }

    /// The labels that decide, by name.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.terms.iter().filter_map(|term| match term {
            Term::Label { key, .. } => Some(key.as_str()),
            _ => None,
        })
    }

    /// Whether a tenant with these labels, on this host, is served.
    pub fn takes(&self, host: &HostName, labels: &WrittenLabels) -> bool {
        self.takes_host(host)
            && self
                .pairs()
                .iter()
                .all(|(pair, there)| labels.0.contains(pair.as_str()) == *there)
    }
}

impl fmt::Display for Serves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TenantId;
    use crate::tenant::{Place, Tenant};

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect()
    }

    /// What a store finds in written labels is what the selector says of the tenant.
    #[test]
    fn written_labels_say_what_the_selector_says() {
        let tenants = [
            labels(&[]),
            labels(&[("region", "eu")]),
            labels(&[("region", "eu-west"), ("plan", "pro")]),
            labels(&[
                ("region", "\"],[\"plan\",\"pro\"]"),
                ("x", "[\"region\",\"eu\"]"),
            ]),
            labels(&[("plan", "pro"), ("region", "eu")]),
        ];
        for text in [
            "region=eu",
            "region!=eu",
            "plan=pro,region=eu",
            "plan!=pro,host=h1",
            "host!=h1",
            "host=h2",
        ] {
            let (serves, selector) = (Serves::parse(text).unwrap(), Selector::parse(text).unwrap());
            for labels in &tenants {
                let tenant = Tenant {
                    id: TenantId::new("t"),
                    place: Place {
                        host: HostName::new("h1"),
                        database: None,
                        schema: None,
                        file: None,
                    },
                    labels: labels.clone(),
                    size: None,
                };
                let takes = serves.takes(&tenant.place.host, &WrittenLabels::of(labels));
                assert_eq!(takes, selector.matches(&tenant), "{text} {labels:?}");
            }
        }
        assert!(Serves::everyone().takes(&HostName::new("h"), &WrittenLabels::default()));
    }

    #[test]
    fn ids_are_nothing_to_serve_by() {
        for text in ["acme", "id=a*", "region=eu,id!=b"] {
            let error = Serves::parse(text).unwrap_err().to_string();
            assert!(error.contains("labels and hosts"), "{text}: {error}");
        }
        assert_eq!(
            Serves::parse("region=eu, host!=h1").unwrap().to_string(),
            "region=eu,host!=h1"
        );
    }
}
