//! Choosing a few tenants that between them have every value of some keys.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::order::Member;
use crate::waves::Coverage;

/// A value of a key: `("engine", "postgres")`.
pub(super) type Pair<'a> = (&'a str, &'a str);

/// The pairs of a member, one per key that it has a value for.
pub(super) fn pairs<'a>(coverage: &'a Coverage, member: &Member<'a>) -> Vec<Pair<'a>> {
    coverage
        .keys
        .iter()
        .filter_map(|key| Some((key.as_str(), member.value(key)?)))
        .collect()
}

/// Chooses of the members that may be chosen, each with the pairs for which it was; those that only fill up to the
/// least have none. In the order of choosing.
///
/// Greedy: next is whoever has the most values that nobody chosen has yet; of equals, the first in order. What a
/// member would add can only shrink, so that one is asked again only when it comes to the top of the heap.
pub(super) fn choose<'a>(
    coverage: &'a Coverage,
    members: &[&Member<'a>],
    may: impl Fn(&Member<'a>) -> bool,
    most: u64,
) -> Vec<(usize, Vec<Pair<'a>>)> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let least = usize::try_from(coverage.min)
        .unwrap_or(usize::MAX)
        .min(most);
    let candidates: Vec<usize> = (0..members.len()).filter(|&at| may(members[at])).collect();
    let mut open: BTreeMap<Pair<'a>, bool> = BTreeMap::new();
    let mut heap = BinaryHeap::new();
    for &at in &candidates {
        let pairs = pairs(coverage, members[at]);
        heap.push((pairs.len(), Reverse(at)));
        open.extend(pairs.into_iter().map(|pair| (pair, true)));
    }
    let mut chosen: Vec<(usize, Vec<Pair<'a>>)> = Vec::new();
    while chosen.len() < most
        && let Some((would, Reverse(at))) = heap.pop()
    {
        let adds: Vec<Pair<'a>> = pairs(coverage, members[at])
            .into_iter()
            .filter(|pair| open[pair])
            .collect();
        match adds.len() {
            0 => {}
            now if now < would => heap.push((now, Reverse(at))),
            _ => {
                for pair in &adds {
                    open.insert(*pair, false);
                }
                chosen.push((at, adds));
            }
        }
    }
    let missing = least.saturating_sub(chosen.len());
    let fill: Vec<usize> = candidates
        .into_iter()
        .filter(|at| chosen.iter().all(|(taken, _)| taken != at))
        .take(missing)
        .collect();
    chosen.extend(fill.into_iter().map(|at| (at, Vec::new())));
    chosen
}
