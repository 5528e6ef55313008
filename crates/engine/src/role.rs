//! The role that a host's migrations run as, as the settings name it.

/// A role's name with places for the tenant's schema and database: `{{schema}}_owner`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Schema,
    Database,
}

impl RoleTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence about the text: an unknown or unclosed placeholder, an empty text, and
    /// `none`, which to PostgreSQL is no role at all.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.eq_ignore_ascii_case("none") {
            return Err(
                "names no role; leave it out to migrate as the login role itself".to_owned(),
            );
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else {
                return Err("has a {{ without its }}".to_owned());
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match name.trim() {
                "schema" => Piece::Schema,
                "database" => Piece::Database,
                other => {
                    return Err(format!(
                        "has the unknown placeholder {{{{{other}}}}}; {{{{schema}}}} and {{{{database}}}} are known"
                    ));
                }
            });
            rest = behind;
        }
        if rest.contains("}}") {
            return Err("has a }} without its {{".to_owned());
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The template as it was written, but for blanks inside of its braces.
    pub fn as_written(&self) -> String {
        self.render("{{schema}}", "{{database}}")
    }

    /// The names that it can stand for, as a pattern of `LIKE`.
    pub(crate) fn pattern(&self) -> String {
        let escaped = |text: &str| {
            text.replace('\\', r"\\")
                .replace('%', r"\%")
                .replace('_', r"\_")
        };
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => escaped(text),
            Piece::Schema | Piece::Database => "%".to_owned(),
        };
        self.0.iter().map(piece).collect()
    }

    /// The role's name for a tenant, by the names that the server has for its schema and database.
    pub(crate) fn render(&self, schema: &str, database: &str) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Schema => schema.to_owned(),
            Piece::Database => database.to_owned(),
        };
        self.0.iter().map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_once() {
        for (template, role) in [
            ("app", "app"),
            ("{{schema}}_owner", "t {{database}}_owner"),
            ("o-{{ database }}.{{schema}}", "o-d.t {{database}}"),
        ] {
            let parsed = RoleTemplate::parse(template).unwrap();
            assert_eq!(parsed.render("t {{database}}", "d"), role);
            assert_eq!(RoleTemplate::parse(&parsed.as_written()), Ok(parsed));
        }
        let pattern = RoleTemplate::parse(r"{{schema}}_o%\x").unwrap().pattern();
        assert_eq!(pattern, r"%\_o\%\\x");
    }

    #[test]
    fn what_is_no_template_is_said() {
        for (template, part) in [
            ("", "names no role"),
            ("NONE", "names no role"),
            ("{{schem}}", "unknown placeholder {{schem}}"),
            ("{{schema}", "without its }}"),
            ("schema}}", "without its {{"),
        ] {
            let wrong = RoleTemplate::parse(template).unwrap_err();
            assert!(wrong.contains(part), "{template}: {wrong}");
        }
    }
}
