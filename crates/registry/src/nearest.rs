//! "Did you mean": the known word that a misspelt one is closest to.

/// The candidate that is closest to `word`, unless even that one is too far to be what was meant.
///
/// Counts insertions, deletions, substitutions and swaps of neighbours, ignoring case; a third of the word may be wrong.
/// Of equally close candidates the first one wins.
///
/// ```
/// assert_eq!(sanderling_registry::nearest("shema", ["schema", "file"]), Some("schema"));
/// assert_eq!(sanderling_registry::nearest("region", ["schema", "file"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|c| (distance(&word, &c.to_lowercase()), c))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edit distance with swaps of neighbouring characters (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let keys = ["concurrency", "atomic", "lock_timeout", "waves"];
        assert_eq!(nearest("concurency", keys), Some("concurrency"));
        assert_eq!(nearest("lock_timeuot", keys), Some("lock_timeout"));
        assert_eq!(nearest("Waves", keys), Some("waves"));
        assert_eq!(nearest("bananas", keys), None);
        assert_eq!(nearest("", keys), None);
    }

    #[test]
    fn swaps_count_once() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
