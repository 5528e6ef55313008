//! Which series an expression of ours asks for, by name and without matchers.

/// The names of our own series, and of what our rules record: `sanderling_…` and `level:metric:operation`.
pub(super) fn series(expr: &str) -> Vec<String> {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let mut names: Vec<_> = expr
        .split(|c| !part(c))
        .filter(|word| word.starts_with("sanderling_") || word.contains(':'))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn names_are_found() {
    let expr = "fleet_host:connections:ratio{x=\"y\"} > 0 and rate(sanderling_b_total[5m]) or sanderling_a";
    assert_eq!(
        series(expr),
        [
            "fleet_host:connections:ratio",
            "sanderling_a",
            "sanderling_b_total"
        ]
    );
}
