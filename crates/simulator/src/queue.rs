//! Virtual time: what is to happen, in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Things to come. What is due at one moment comes in the order in which it was put in.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<(u64, u64, T)>>,
    count: u64,
    now: u64,
}

impl<T: Ord> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            count: 0,
            now: 0,
        }
    }

    /// Milliseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// Puts something in that happens `after` milliseconds from now.
    pub(crate) fn put(&mut self, after: u64, thing: T) {
        self.count += 1;
        let due = self.now.saturating_add(after);
        self.heap.push(Reverse((due, self.count, thing)));
    }

    /// The next thing; time jumps to it.
    pub(crate) fn next(&mut self) -> Option<T> {
        let Reverse((due, _, thing)) = self.heap.pop()?;
        self.now = due;
        Some(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_when_due_and_equals_in_order() {
        let mut queue = Queue::new();
        queue.put(5, 'c');
        queue.put(1, 'a');
        queue.put(5, 'b');
        let mut seen = Vec::new();
        while let Some(thing) = queue.next() {
            seen.push((queue.now(), thing));
            if thing == 'a' {
                queue.put(4, 'd');
            }
        }
        assert_eq!(seen, [(1, 'a'), (5, 'c'), (5, 'b'), (5, 'd')]);
    }
}
