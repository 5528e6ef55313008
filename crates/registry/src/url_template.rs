//! A host's URL with places for what a tenant's row says.

use std::collections::BTreeMap;

/// Text with `{{label.NAME}}` and `{{database}}` in it.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlTemplate(Vec<Piece>);

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Database,
    Label(String),
}

impl std::fmt::Debug for UrlTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UrlTemplate(..)")
    }
}

impl UrlTemplate {
    /// Reads a template; `None` where the text has no placeholder.
    ///
    /// # Errors
    /// An unknown or unclosed placeholder, as a sentence about the text.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            // `${{{label.x}}}` is a reference whose name is a label's value.
            let (before, after) = match after.strip_prefix('{') {
                Some(inner) => (format!("{before}{{"), inner),
                None => (before.to_owned(), after),
            };
            let (name, behind) = after.split_once("}}").ok_or("has a {{ without its }}")?;
            pieces.push(Piece::Text(before));
            pieces.push(match name.trim() {
                "database" => Piece::Database,
                name => match name.strip_prefix("label.").filter(|name| !name.is_empty()) {
                    Some(label) => Piece::Label(label.to_owned()),
                    None => {
                        return Err(format!(
                            "has the unknown placeholder {{{{{name}}}}}; {{{{label.NAME}}}} and {{{{database}}}} are known"
                        ));
                    }
                },
            });
            rest = behind;
        }
        if pieces.is_empty() {
            return Ok(None);
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Some(Self(pieces)))
    }

    /// Whether a tenant has to name its database.
    pub fn names_the_database(&self) -> bool {
        self.0.contains(&Piece::Database)
    }

    /// The text for a tenant.
    ///
    /// # Errors
    /// Everything that the tenant lacks, or has and cannot stand in a URL, a sentence each.
    pub(crate) fn render(
        &self,
        labels: &BTreeMap<String, String>,
        database: Option<&str>,
    ) -> Result<String, Vec<String>> {
        let mut wrong = Vec::new();
        let mut text = String::new();
        for piece in &self.0 {
            let (what, value) = match piece {
                Piece::Text(fixed) => {
                    text.push_str(fixed);
                    continue;
                }
                Piece::Database => ("`database`".to_owned(), database),
                Piece::Label(name) => (
                    format!("label `{name}`"),
                    labels.get(name).map(String::as_str),
                ),
            };
            match value {
                None => wrong.push(format!("has no {what}, which its host's url is made with")),
                Some(value) if !value.bytes().all(stands_for_itself) => wrong.push(format!(
                    "{what} is {value:?}, and its host's url is made with it: there only letters, digits, `-`, `.` and `_` \
                     stand for themselves"
                )),
                Some(value) => text.push_str(value),
            }
        }
        wrong.dedup();
        if wrong.is_empty() {
            Ok(text)
        } else {
            Err(wrong)
        }
    }

    /// The text with `1` in each placeholder's place: enough to see what would be wrong for all tenants.
    pub fn sample(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Database | Piece::Label(_) => "1".to_owned(),
        };
        self.0.iter().map(piece).collect()
    }
}

/// No delimiter of a URL, and nothing that begins a reference.
fn stands_for_itself(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect()
    }

    #[test]
    fn placeholders_are_filled_in_once() {
        let template = |text| UrlTemplate::parse(text).unwrap().unwrap();
        let one = template("postgres://m:${PW_{{label.shard}}}@{{ label.shard }}.db/{{database}}");
        assert!(one.names_the_database());
        assert_eq!(
            one.render(&labels(&[("shard", "s1")]), Some("acme"))
                .as_deref(),
            Ok("postgres://m:${PW_s1}@s1.db/acme")
        );
        let named = template("postgres://m:${{{label.secret}}}@db/a");
        assert_eq!(
            named.render(&labels(&[("secret", "P1")]), None).as_deref(),
            Ok("postgres://m:${P1}@db/a")
        );
        assert!(
            UrlTemplate::parse("postgres://m:${PW}@db/a")
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn what_is_missing_or_odd_is_said() {
        let template = UrlTemplate::parse("postgres://{{label.a}}.{{label.b}}/{{database}}");
        let wrong = template
            .unwrap()
            .unwrap()
            .render(&labels(&[("b", "x@evil")]), None)
            .unwrap_err();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[0].starts_with("has no label `a`"), "{wrong:?}");
        assert!(wrong[1].starts_with("label `b` is \"x@evil\""), "{wrong:?}");
        assert!(wrong[2].starts_with("has no `database`"), "{wrong:?}");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["a{{b", "{{schema}}", "{{label.}}", "{{}}"] {
            assert!(UrlTemplate::parse(text).is_err(), "{text}");
        }
    }
}
