//! What every crate's directory holds, and how files are called.

use crate::tree::Crate;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "utils", "util", "common", "types", "helpers", "helper", "manager", "misc",
];

/// Complaints about a crate without the shared lints, or without its page.
pub(crate) fn house(found: Crate<'_>) -> Vec<String> {
    let name = found.name;
    let mut complaints = Vec::new();
    if !inherits_lints(found.manifest) {
        complaints.push(format!("{name}/Cargo.toml: no [lints] workspace = true"));
    }
    if !found
        .top
        .is_some_and(|text| text.starts_with("#![doc = include_str!(\"../README.md\")]"))
    {
        complaints.push(format!("{name}: README.md is not its documentation"));
    }
    match found.readme {
        None => complaints.push(format!("{name}: no README.md")),
        Some(text) if !text.lines().any(|line| line == "## Invariants") => {
            complaints.push(format!("{name}/README.md: no heading `## Invariants`"));
        }
        Some(_) => {}
    }
    complaints
}

fn inherits_lints(manifest: &str) -> bool {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[lints]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .any(|line| line.trim() == "workspace = true")
}

/// Complaints about a crate's `clippy.toml`, which replaces the root's, where it lacks a line of that.
pub(crate) fn repeats(shared: &str, path: &str, text: &str) -> Vec<String> {
    shared
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter(|line| !text.lines().any(|own| own.trim() == *line))
        .map(|line| format!("{path}: does not repeat `{line}` of the root clippy.toml"))
        .collect()
}

/// A complaint about a file or directory whose name says nothing.
pub(crate) fn name(path: &str) -> Vec<String> {
    path.split('/')
        .map(|part| part.strip_suffix(".rs").unwrap_or(part))
        .filter(|part| EMPTY_NAMES.contains(part))
        .map(|part| format!("{path}: `{part}` is no room; it mixes things, so split it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n";
    const TOP: &str = "#![doc = include_str!(\"../README.md\")]\n";
    const README: &str = "# x\n\n## Invariants\n";

    fn complaints(manifest: &str, readme: Option<&str>, top: Option<&str>) -> usize {
        house(Crate {
            name: "crates/x",
            manifest,
            readme,
            top,
        })
        .len()
    }

    #[test]
    fn a_crate_needs_lints_page_and_invariants() {
        assert_eq!(complaints(MANIFEST, Some(README), Some(TOP)), 0);
        let elsewhere = "[lints]\n[workspace.x]\nworkspace = true\n";
        assert_eq!(complaints(elsewhere, Some(README), Some(TOP)), 1);
        assert_eq!(complaints(MANIFEST, None, Some(TOP)), 1);
        assert_eq!(complaints(MANIFEST, Some("# x\n"), Some(TOP)), 1);
        assert_eq!(complaints(MANIFEST, Some(README), Some("//! x\n")), 1);
        assert_eq!(complaints(MANIFEST, Some(README), None), 1);
    }

    #[test]
    fn a_forgotten_shared_setting_is_found() {
        let shared = "# why\na = 1\nb = 2\n";
        assert!(repeats(shared, "x", "b = 2\nc = 3\na = 1\n").is_empty());
        assert_eq!(repeats(shared, "x", "a = 1\nb = 3\n").len(), 1);
    }

    #[test]
    fn empty_names_are_found_anywhere_in_a_path() {
        assert!(name("crates/x/src/typed/manager_of_none.rs").is_empty());
        assert_eq!(name("crates/x/src/utils.rs").len(), 1);
        assert_eq!(name("crates/common/src/types/mod.rs").len(), 2);
    }
}
