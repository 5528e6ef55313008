//! The workspace as it lies on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Texts by path from the root, with `/` between parts.
pub(crate) struct Tree(BTreeMap<String, String>);

/// What a crate's directory holds, for the checks that need more than one file.
pub(crate) struct Crate<'a> {
    pub(crate) name: &'a str,
    pub(crate) manifest: &'a str,
    pub(crate) readme: Option<&'a str>,
    /// `src/lib.rs`, or `src/main.rs` where there is no library.
    pub(crate) top: Option<&'a str>,
}

impl Tree {
    /// All Rust, TOML and Markdown files at the root and below `crates`, `docs` and `tests`.
    pub(crate) fn read() -> Self {
        let root = root();
        let mut files = BTreeMap::new();
        for directory in ["crates", "docs", "tests"] {
            walk(&root, &root.join(directory), &mut files);
        }
        // A check of an empty tree would find nothing to complain about.
        assert!(
            files.contains_key("crates/core/src/lib.rs"),
            "{} is not the workspace",
            root.display()
        );
        let shared = fs::read_to_string(root.join("clippy.toml")).expect("the root clippy.toml");
        files.insert("clippy.toml".to_owned(), shared);
        Self(files)
    }

    pub(crate) fn text(&self, path: &str) -> &str {
        self.get(path)
            .unwrap_or_else(|| panic!("{path} is missing"))
    }

    /// Rust files.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Files of this name below the root, the root's own left out.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let tail = format!("/{name}");
        self.0
            .iter()
            .filter(move |(path, _)| path.ends_with(&tail))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(crate) fn crates(&self) -> impl Iterator<Item = Crate<'_>> {
        self.named("Cargo.toml").map(|(path, manifest)| {
            let name = path.strip_suffix("/Cargo.toml").unwrap_or(path);
            Crate {
                name,
                manifest,
                readme: self.get(&format!("{name}/README.md")),
                top: self
                    .get(&format!("{name}/src/lib.rs"))
                    .or_else(|| self.get(&format!("{name}/src/main.rs"))),
            }
        })
    }

    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

/// What cargo knows of the members and their direct dependencies. Reads nothing but this workspace.
pub(crate) fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let members = metadata["packages"].as_array().map_or(0, Vec::len);
    assert!(members > 1, "cargo metadata lists {members} packages");
    metadata
}

/// The directory that holds `Cargo.lock`, above the package that this suite belongs to.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|above| above.join("Cargo.lock").is_file())
        .expect("a workspace has a lock file")
        .to_path_buf()
}

fn walk(root: &Path, directory: &Path, files: &mut BTreeMap<String, String>) {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            walk(root, &path, files);
        } else if path
            .extension()
            .is_some_and(|end| end == "rs" || end == "toml" || end == "md")
        {
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let relative = path.strip_prefix(root).unwrap_or(&path);
            files.insert(relative.to_string_lossy().replace('\\', "/"), text);
        }
    }
}
