//! Taking a list apart by group and putting answers back in the list's order.

use std::collections::BTreeMap;

/// The indices of `items` by group, groups in order.
pub(crate) fn by_group<T, G: Ord>(items: &[T], group: impl Fn(&T) -> G) -> Vec<(G, Vec<usize>)> {
    let mut groups: BTreeMap<G, Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        groups.entry(group(item)).or_default().push(at);
    }
    groups.into_iter().collect()
}

/// Answers in the order of the indices they carry; every index must be there once.
pub(crate) fn in_order<T>(mut answers: Vec<(usize, T)>) -> Vec<T> {
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_in_the_order_of_the_questions() {
        let groups = by_group(&["b1", "a1", "b2"], |item| item.as_bytes()[0]);
        assert_eq!(groups, [(b'a', vec![1]), (b'b', vec![0, 2])]);
        let answers = groups
            .into_iter()
            .flat_map(|(_, at)| at.into_iter().map(|at| (at, at * 10)))
            .collect();
        assert_eq!(in_order(answers), [0, 10, 20]);
    }
}
