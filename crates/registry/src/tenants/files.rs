//! Finds the files that glob patterns name, in an order that does not depend on the file system.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::problem::Problems;

/// How deep `**` descends: a loop of symbolic links ends here.
const DEEPEST: usize = 32;

/// The files that match the patterns, relative patterns below `base`: in the order of the patterns, by name within
/// one, each file once. A pattern that matches nothing is a problem. Hidden files and directories do not match.
pub(super) fn find(base: &Path, patterns: &[String], problems: &mut Problems) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for pattern in patterns {
        match matches(base, pattern) {
            Ok(files) => found.extend(files.into_iter().filter(|f| seen.insert(f.clone()))),
            Err(message) => problems.add("", None, message),
        }
    }
    found
}

fn matches(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let (fixed, rest) = split(pattern);
    let root = plain(&base.join(&fixed));
    if rest.as_os_str().is_empty() {
        return if root.is_file() {
            Ok(vec![root])
        } else {
            Err(format!(
                "tenant file {} does not exist; create it or correct `tenants` under [fleet]",
                root.display()
            ))
        };
    }
    let matcher = glob(&rest.to_string_lossy())
        .map_err(|e| format!("tenant pattern {pattern:?} is not a glob: {}", e.kind()))?;
    let steps = rest.components().count();
    let deepest = if rest.components().any(|c| c.as_os_str() == "**") {
        DEEPEST
    } else {
        steps
    };
    let mut files = Vec::new();
    walk(&root, Path::new(""), deepest, &matcher, &mut files)?;
    if files.is_empty() {
        return Err(format!(
            "tenant pattern {pattern:?} matches no file below {}; correct `tenants` under [fleet], or remove the pattern",
            root.display()
        ));
    }
    Ok(files)
}

fn glob(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build()?
        .compile_matcher())
}

/// The leading components without a wildcard, and the rest.
fn split(pattern: &str) -> (PathBuf, PathBuf) {
    let mut fixed = PathBuf::new();
    let mut rest = PathBuf::new();
    for component in Path::new(pattern).components() {
        let wild = component
            .as_os_str()
            .to_string_lossy()
            .contains(['*', '?', '[', '{', '\\']);
        if wild || !rest.as_os_str().is_empty() {
            rest.push(component);
        } else {
            fixed.push(component);
        }
    }
    (fixed, rest)
}

/// The path without `.` components, so that messages read `tenants/a.csv` and one file has one spelling.
fn plain(path: &Path) -> PathBuf {
    let plain: PathBuf = path
        .components()
        .filter(|c| *c != Component::CurDir)
        .collect();
    if plain.as_os_str().is_empty() {
        ".".into()
    } else {
        plain
    }
}

fn walk(
    root: &Path,
    below: &Path,
    deepest: usize,
    matcher: &GlobMatcher,
    files: &mut Vec<PathBuf>,
) -> Result<(), String> {
    let directory = plain(&root.join(below));
    let cannot = |e: std::io::Error| {
        let directory = directory.display();
        format!(
            "cannot read directory {directory}: {e}; create it, or correct `tenants` under [fleet]"
        )
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(cannot)? {
        names.push(entry.map_err(cannot)?.file_name());
    }
    names.sort();
    for name in names {
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let relative = below.join(&name);
        let path = plain(&root.join(&relative));
        if path.is_dir() {
            if deepest > 1 {
                walk(root, &relative, deepest - 1, matcher, files)?;
            }
        } else if matcher.is_match(&relative) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(base: &Path, patterns: &[&str]) -> (Vec<String>, String) {
        let mut problems = Problems::default();
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let files = find(base, &patterns, &mut problems)
            .iter()
            .map(|f| f.strip_prefix(base).unwrap().display().to_string())
            .collect();
        let error = problems.into_result(vec![], |_| ()).err();
        (files, error.map(|e| e.to_string()).unwrap_or_default())
    }

    #[test]
    fn order_is_that_of_patterns_then_names_and_each_file_comes_once() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "t/b.csv",
            "t/a.csv",
            "t/c.yaml",
            "t/.hidden.csv",
            "t/deep/er/d.csv",
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let all = |patterns: &[&str]| found(dir.path(), patterns).0.join(" ");
        assert_eq!(all(&["t/*.yaml", "t/*.csv"]), "t/c.yaml t/a.csv t/b.csv");
        assert_eq!(all(&["./t/b.csv", "t/*"]), "t/b.csv t/a.csv t/c.yaml");
        assert_eq!(all(&["t/**/*.csv"]), "t/a.csv t/b.csv t/deep/er/d.csv");
        assert_eq!(all(&["t/*/er/d.csv"]), "t/deep/er/d.csv");
        assert_eq!(all(&["t/{b,c}.*"]), "t/b.csv t/c.yaml");
    }

    #[test]
    fn a_pattern_without_a_match_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            found(dir.path(), &["*.csv"])
                .1
                .contains("\"*.csv\" matches no file below")
        );
        assert!(
            found(dir.path(), &["no/such.csv"])
                .1
                .contains("no/such.csv does not exist")
        );
        assert!(
            found(dir.path(), &["no/*.csv"])
                .1
                .contains("cannot read directory")
        );
        assert!(found(dir.path(), &["[.csv"]).1.contains("is not a glob"));
    }
}
