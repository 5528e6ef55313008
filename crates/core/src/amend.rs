//! Amendments: a migration that failed somewhere got another text, and the text before it stays right where it is in
//! effect.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::assess::MigrationMeta;
use crate::bundle::hex;
use crate::ids::{BundleHash, Checksum, Version};

/// Checksums that are right for a version besides the bundle's own: texts that were amended.
pub type Accepted = BTreeMap<Version, BTreeSet<Checksum>>;

/// One text of a version that took the place of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Amendment {
    /// The version.
    pub version: Version,
    /// The hash of the text before.
    pub was: Checksum,
    /// The hash of the text that took its place.
    pub is: Checksum,
}

/// What is right besides the bundle's own texts: those that led to them, one amendment after the other. A bundle with
/// a text that was amended since gets nothing for the texts after it: whoever uses it has an old directory.
pub fn accepted(bundle: &[MigrationMeta], amendments: &[Amendment]) -> Accepted {
    let mut all = Accepted::new();
    for migration in bundle {
        let before = texts_before(&migration.version, &migration.checksum, amendments);
        if !before.is_empty() {
            all.insert(migration.version.clone(), before);
        }
    }
    all
}

/// The texts of a version that were amended, step by step, into this one; never this one itself.
pub fn texts_before(
    version: &Version,
    text: &Checksum,
    amendments: &[Amendment],
) -> BTreeSet<Checksum> {
    let (mut found, mut open) = (BTreeSet::new(), vec![text.clone()]);
    while let Some(text) = open.pop() {
        let led_here = |a: &&Amendment| a.version == *version && a.is == text;
        for amendment in amendments.iter().filter(led_here) {
            if found.insert(amendment.was.clone()) {
                open.push(amendment.was.clone());
            }
        }
    }
    found.remove(text);
    found
}

/// The bundle's migrations, each with the texts that are right besides its own.
pub fn with_accepted(
    mut bundle: Vec<MigrationMeta>,
    amendments: &[Amendment],
) -> Vec<MigrationMeta> {
    let mut accepted = accepted(&bundle, amendments);
    for migration in &mut bundle {
        migration.accepted = accepted.remove(&migration.version).unwrap_or_default();
    }
    bundle
}

/// The hash of a plan that was revised by an amendment: the plan before, and what is new. The targets are where they
/// were, so nothing of them is hashed again.
pub fn revised_hash(before: &str, bundle: &BundleHash, amendment: &Amendment) -> String {
    let Amendment { version, was, is } = amendment;
    let mut hasher = Sha256::new();
    hasher.update(b"sanderling plan revision 1\n");
    let texts = [was.as_str(), is.as_str()];
    let parts = [before, bundle.as_str(), version.as_str()];
    for part in parts.into_iter().chain(texts) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hex(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bundle, version};

    fn amended(n: u32, was: &str, is: &str) -> Amendment {
        Amendment {
            version: version(n),
            was: Checksum::new(was),
            is: Checksum::new(is),
        }
    }

    fn of(n: u32, amendments: &[Amendment]) -> Vec<String> {
        let accepted = accepted(&bundle(3), amendments);
        let texts = accepted.get(&version(n)).into_iter().flatten();
        texts.map(|text| text.as_str().to_owned()).collect()
    }

    #[test]
    fn every_text_that_led_to_the_bundles_own_is_right() {
        let chain = [amended(2, "first", "second"), amended(2, "second", "c2")];
        assert_eq!(of(2, &chain), ["first", "second"]);
        assert!(of(1, &chain).is_empty() && of(3, &chain).is_empty());
    }

    #[test]
    fn an_old_directory_is_given_no_newer_text() {
        assert!(of(2, &[amended(2, "c2", "newer")]).is_empty());
        assert!(of(2, &[amended(2, "first", "newer")]).is_empty());
    }

    #[test]
    fn there_and_back_again_ends() {
        let circle = [amended(2, "c2", "other"), amended(2, "other", "c2")];
        assert_eq!(of(2, &circle), ["other"]);
    }

    #[test]
    fn each_revision_has_a_hash_of_its_own() {
        let hash = |before: &str, is: &str| {
            revised_hash(before, &BundleHash::new("b"), &amended(2, "c2", is))
        };
        assert_ne!(hash("p", "x"), hash("p", "y"));
        assert_ne!(hash("p", "x"), hash("q", "x"));
        assert_eq!(hash("p", "x").len(), 64);
    }
}
