//! The mutants of `tests/mutants` as text: a patch that no longer applies takes nothing out, and would be noticed only
//! by the night that runs it.

use std::fs;
use std::path::Path;
use std::process::Command;

const HEAD: [&str; 4] = ["Removes: ", "Package: ", "Binary: ", "Tests: "];

/// Patches that do not fit the tree under `root`, lack a line of their head, or are not in the `page` of all mutants.
pub(crate) fn complaints(root: &Path, page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut patches = 0;
    for entry in fs::read_dir(root.join("tests/mutants")).expect("tests/mutants") {
        let path = entry.expect("an entry of tests/mutants").path();
        let text = fs::read_to_string(&path).expect("a mutant is text");
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        patches += 1;
        found.extend(head(&name, &text));
        if !page.contains(&format!("| `{name}` |")) {
            found.push(format!("docs/reference/mutants.md has no row for {name}"));
        }
        found.extend(applies(root, &path).err().map(|why| {
            format!("tests/mutants/{name}.patch: carry the change over by hand: {why}")
        }));
    }
    assert!(patches > 0, "tests/mutants is empty");
    found
}

fn head(name: &str, text: &str) -> Vec<String> {
    HEAD.iter()
        .filter(|field| !text.lines().any(|line| line.starts_with(**field)))
        .map(|field| format!("tests/mutants/{name}.patch: its head lacks `{field}`"))
        .collect()
}

fn applies(root: &Path, patch: &Path) -> Result<(), String> {
    let git = Command::new("git")
        .current_dir(root)
        .args(["apply", "--check"])
        .arg(patch)
        .output()
        .map_err(|error| format!("git: {error}"))?;
    if git.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&git.stderr).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "Removes: a\nPackage: b\nBinary: c\nTests: d\n\ndiff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n";

    fn tree(file: &str, patch: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("tests/mutants")).unwrap();
        fs::write(root.path().join("f"), file).unwrap();
        fs::write(root.path().join("tests/mutants/m.patch"), patch).unwrap();
        root
    }

    #[test]
    fn a_patch_that_fits_is_left_alone() {
        let root = tree("one\ntwo\n", PATCH);
        assert_eq!(complaints(root.path(), "| `m` |"), Vec::<String>::new());
    }

    #[test]
    fn a_patch_of_older_code_is_told() {
        let root = tree("one\n2\n", PATCH);
        let found = complaints(root.path(), "| `m` |");
        assert!(
            found[0].contains("m.patch: carry the change over"),
            "{found:?}"
        );
    }

    #[test]
    fn heads_and_rows_are_complete() {
        let root = tree("one\ntwo\n", &PATCH.replace("Tests: d\n", ""));
        let found = complaints(root.path(), "");
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
