//! The search path of a host's migrations, as the settings name it.

/// What stands for the tenant's own schema.
const TENANT: &str = "{{schema}}";

/// The schemas in which names resolve beside the tenant's own: `extensions` of `["{{schema}}", "extensions"]`. The
/// tenant's schema is always the first, and the session's temporary one always the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPath(Vec<String>);

impl SearchPath {
    /// Reads the entries of a path.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence about the path: the tenant's schema is not first, an entry twice, one with a
    /// placeholder of its own, and names that are no schema for others' objects.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let Some((first, others)) = entries.split_first() else {
            return Err(format!(
                "names no schema; leave it out, or begin it with \"{TENANT}\""
            ));
        };
        if first != TENANT {
            return Err(format!(
                "must begin with \"{TENANT}\", not {first:?}: what a migration makes belongs in its tenant's schema"
            ));
        }
        for (at, entry) in others.iter().enumerate() {
            if let Some(why) = refused(entry) {
                return Err(why);
            }
            if others[..at].contains(entry) {
                return Err(format!("names {entry:?} twice; remove one"));
            }
        }
        Ok(Self(others.to_vec()))
    }

    /// The path as it was written; empty where nothing stands behind the tenant's schema.
    pub fn as_written(&self) -> Vec<String> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let first = std::iter::once(TENANT.to_owned());
        first.chain(self.0.iter().cloned()).collect()
    }

    /// What stands behind the tenant's schema, in its order.
    pub(crate) fn others(&self) -> &[String] {
        &self.0
    }
}

/// Why a schema cannot stand in the path of many tenants.
fn refused(entry: &str) -> Option<String> {
    if entry == TENANT {
        Some(format!(
            "names \"{TENANT}\" twice; it is the first, and once is enough"
        ))
    } else if entry.contains("{{") || entry.contains("}}") {
        Some(format!(
            "{entry:?}: only the first entry differs from tenant to tenant; all others are schemas that tenants share"
        ))
    } else if entry.is_empty() {
        Some("has an empty entry; remove it".to_owned())
    } else if entry.starts_with("pg_")
        || ["information_schema", "$user", "sanderling"].contains(&entry)
    {
        Some(format!(
            "{entry:?} belongs to the server or to Sanderling; pg_catalog is always searched first, and pg_temp last: \
             remove it"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entries: &[&str]) -> Result<SearchPath, String> {
        let entries: Vec<_> = entries.iter().map(|&entry| entry.to_owned()).collect();
        SearchPath::parse(&entries)
    }

    #[test]
    fn the_tenants_schema_is_first_and_the_rest_is_shared() {
        let path = parse(&["{{schema}}", "extensions", "Odd, \"one\""]).unwrap();
        assert_eq!(path.others(), ["extensions", "Odd, \"one\""]);
        assert_eq!(SearchPath::parse(&path.as_written()), Ok(path));
        assert!(parse(&["{{schema}}"]).unwrap().others().is_empty());
    }

    #[test]
    fn what_is_no_path_is_said() {
        for (entries, part) in [
            (&[][..], "names no schema"),
            (&["extensions", "{{schema}}"], "must begin with"),
            (&["{{schema}}", "{{schema}}"], "once is enough"),
            (&["{{schema}}", "{{schema}}_x"], "only the first entry"),
            (&["{{schema}}", "{{label.x}}"], "only the first entry"),
            (&["{{schema}}", ""], "empty entry"),
            (&["{{schema}}", "a", "a"], "\"a\" twice"),
            (&["{{schema}}", "pg_catalog"], "belongs to the server"),
            (&["{{schema}}", "pg_temp"], "belongs to the server"),
            (&["{{schema}}", "$user"], "belongs to the server"),
            (&["{{schema}}", "sanderling"], "belongs to the server"),
        ] {
            let wrong = parse(entries).unwrap_err();
            assert!(wrong.contains(part), "{entries:?}: {wrong}");
        }
    }
}
