//! Normal form of catalog text: the tenant's own schema is called `{S}`, whatever it is called.

/// Replaces the schema's quoted name before a dot by `{S}`, in a text that the server deparsed with everything
/// qualified. Text that already says `{S}` is marked, so that no two different texts become one.
pub(super) fn without_schema(text: &str, quoted_schema: &str) -> String {
    let prefix = format!("{quoted_schema}.");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(next) = rest.chars().next() {
        if rest.starts_with(&prefix) && !before.is_some_and(in_a_name) {
            out.push_str("{S}.");
            rest = &rest[prefix.len()..];
            before = Some('.');
        } else if let Some(after) = rest.strip_prefix("{S}") {
            out.push_str("{S}{}");
            rest = after;
            before = Some('}');
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
            before = Some(next);
        }
    }
    out
}

/// Whether a name that begins after this character is only the end of a longer one.
fn in_a_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '"' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_schema_itself_is_replaced() {
        for (text, schema, normal) in [
            (
                "nextval('t1.a_id_seq'::regclass)",
                "t1",
                "nextval('{S}.a_id_seq'::regclass)",
            ),
            ("REFERENCES at1.a(id)", "t1", "REFERENCES at1.a(id)"),
            ("x.t1.a", "t1", "x.t1.a"),
            ("\"odd \"\" one\".a", "\"odd \"\" one\"", "{S}.a"),
            ("'{S}.a'", "t1", "'{S}{}.a'"),
            (
                "CREATE INDEX i ON t1.é (x)",
                "t1",
                "CREATE INDEX i ON {S}.é (x)",
            ),
        ] {
            assert_eq!(without_schema(text, schema), normal);
        }
    }
}
