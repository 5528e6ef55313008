//! A bundle: an immutable set of migration files, named by the hash of its content.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::BundleHash;

/// One migration file, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleFile {
    /// The file's name without its directory: `20260101120000_create_accounts.sql`.
    pub name: String,
    /// The canonical text (UTF-8, LF, no byte order mark).
    pub text: String,
}

/// An immutable, content-addressed set of migrations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    hash: BundleHash,
    files: Vec<BundleFile>,
}

impl Bundle {
    /// Sorts the files by name and hashes names and texts, each with its length in front.
    pub fn new(mut files: Vec<BundleFile>) -> Self {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let mut hasher = Sha256::new();
        hasher.update(b"sanderling bundle 1\n");
        for part in files.iter().flat_map(|f| [&f.name, &f.text]) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        Self {
            hash: BundleHash::new(hex(&hasher.finalize())),
            files,
        }
    }

    /// The content hash: what plans, rollouts and workers name the bundle by.
    pub fn hash(&self) -> &BundleHash {
        &self.hash
    }

    /// The files in order of their names.
    pub fn files(&self) -> &[BundleFile] {
        &self.files
    }
}

/// Lower-case hex of bytes.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> BundleFile {
        BundleFile {
            name: name.into(),
            text: text.into(),
        }
    }

    #[test]
    fn the_hash_depends_on_content_and_not_on_the_order_of_reading() {
        let a = Bundle::new(vec![file("1_a.sql", "x"), file("2_b.sql", "y")]);
        let b = Bundle::new(vec![file("2_b.sql", "y"), file("1_a.sql", "x")]);
        assert_eq!(a, b);
        assert_ne!(
            a.hash(),
            Bundle::new(vec![file("1_a.sql", "xy"), file("2_b.sql", "")]).hash()
        );
    }
}
