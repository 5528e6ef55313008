//! From lines to a fingerprint.

use sha2::{Digest, Sha256};

use crate::port::Catalog;

/// The version of the algorithm: part of the hash, so that fingerprints of different algorithms never meet.
const ALGORITHM: &str = "sanderling fingerprint 1";

/// Sorts the lines and hashes them, each with its length in front.
pub(crate) fn catalog(engine: &str, mut lines: Vec<String>) -> Catalog {
    lines.sort_unstable();
    let mut hasher = Sha256::new();
    for part in [ALGORITHM, engine]
        .into_iter()
        .chain(lines.iter().map(String::as_str))
    {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    Catalog {
        fingerprint: sanderling_core::bundle::hex(&hasher.finalize()),
        lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_count_and_borders_do() {
        let of =
            |lines: &[&str]| catalog("x", lines.iter().map(|l| (*l).into()).collect()).fingerprint;
        assert_eq!(of(&["a", "b"]), of(&["b", "a"]));
        assert_ne!(of(&["ab", ""]), of(&["a", "b"]));
        assert_eq!(of(&[]).len(), 64);
    }
}
