//! Showing how a file differs from the text that was applied.

/// A unified diff from `old` to `new` with three lines of context; empty where they are equal. The labels name the
/// two sides, as `applied on 1,204 tenants` and `migrations/20260101_a.sql`.
pub fn diff(old_label: &str, old: &str, new_label: &str, new: &str) -> String {
    similar::TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(3)
        .header(old_label, new_label)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_both_sides_and_nothing_for_equals() {
        assert_eq!(diff("a", "x\n", "b", "x\n"), "");
        let shown = diff("applied", "a\nb\nc\n", "file", "a\nB\nc\n");
        assert_eq!(
            shown,
            "--- applied\n+++ file\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
        );
    }
}
