//! Pages that name tests, held to what they say.

/// Rows that the page of interleavings must have.
const ROWS: &[&str] = &[
    "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I13", "I14", "I15",
    "I16", "I17", "I18", "I19", "I20", "P3", "P4", "P5", "P7", "P9", "P10", "P13",
];

/// Complaints about rows that are not there, and about tests named in `[name](../../file)` that are not in that file.
/// A row may name none if it says that something is not built, or not sent.
pub(crate) fn tests<'a>(page: &str, text: impl Fn(&str) -> Option<&'a str>) -> Vec<String> {
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ")).collect();
    let missing = ROWS
        .iter()
        .filter(|row| {
            !rows
                .iter()
                .any(|line| line.starts_with(&format!("| {row} |")))
        })
        .map(|row| format!("row {row} is missing"));
    let empty = rows
        .iter()
        .filter(|line| !line.starts_with("| # |") && links(line).next().is_none())
        .filter(|line| !line.contains(" are not "))
        .map(|line| format!("no test is named in: {line}"));
    let unknown = links(page).filter_map(|(name, path)| {
        let found = text(path).is_some_and(|source| source.contains(&format!("fn {name}(")));
        (!found).then(|| format!("{name} is not in {path}"))
    });
    missing.chain(empty).chain(unknown).collect()
}

/// Name and path of each link to a file of the repository.
fn links(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split('[').skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once("](../../")?;
        let (path, _) = rest.split_once(')')?;
        path.ends_with(".rs").then_some((name, path))
    })
}

#[cfg(test)]
mod test {
    use super::*;

    fn page() -> String {
        let row = |row: &&str| format!("| {row} | … | … | [a_test](../../tests/x.rs) |\n");
        ROWS.iter().map(row).collect()
    }

    fn complaints(page: &str) -> usize {
        tests(page, |path| {
            (path == "tests/x.rs").then_some("fn a_test() {}")
        })
        .len()
    }

    #[test]
    fn missing_rows_and_unknown_tests_are_found() {
        let page = page();
        assert_eq!(complaints(&page), 0);
        assert_eq!(complaints(&page.replacen("| I7 |", "| I70 |", 1)), 1);
        assert_eq!(complaints(&page.replacen("a_test", "no_test", 1)), 1);
        assert_eq!(complaints(&page.replacen("tests/x.rs", "tests/y.rs", 1)), 1);
        assert_eq!(
            complaints(&page.replacen("[a_test](../../tests/x.rs)", "", 1)),
            1
        );
    }
}
