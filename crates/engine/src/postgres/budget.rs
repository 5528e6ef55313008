//! How many connections of one host are open in this process, and which of them wait for the next tenant.
//!
//! Every connection holds a permit, from before it is opened until it is closed or waits idle; idle ones are counted
//! here too. The sum stays within the budget as long as sessions do, and those are bounded by the store's permits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The longest that a session waits for connections that are reading or closing. They end by themselves; only a
/// server that has stopped answering holds them longer, and a session is to find that out by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a connection is open for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A claimed tenant. Never waits for another session.
    Session,
    /// A short visit: a survey, a catalog, a fence that a person moves. Waits for a free place.
    Visit,
    /// It was idle and is being closed.
    Closing,
}

/// The budget of one host. `T` is a connection.
pub(crate) struct Budget<T> {
    /// As configured: no allowance is greater.
    configured: usize,
    state: Mutex<State<T>>,
    /// Something was closed, given back or taken.
    changed: Notify,
}

struct State<T> {
    /// The most that are open at one time.
    limit: usize,
    sessions: usize,
    visits: usize,
    closing: usize,
    /// Oldest first.
    idle: VecDeque<Idle<T>>,
    /// Connections that were put here idle since this value was made.
    kept: u64,
    /// Those of them that are used again, or closed: not those that are only taken out to be closed.
    let_go: u64,
}

struct Idle<T> {
    connection: T,
    since: Instant,
}

/// The right to have one connection open; given back on drop.
pub(crate) struct Permit<T> {
    budget: Arc<Budget<T>>,
    /// `None` once the connection waits idle, and where it is closed in the place of one that is opened after it.
    of: Option<Use>,
    /// Whether the connection was idle: it is let go of when it is closed, not before. Somebody else takes its place on
    /// the server as soon as that is said.
    was_idle: bool,
}

/// Connections to close, each with the permit it holds until that is done.
pub(crate) type ToClose<T> = Vec<(T, Permit<T>)>;

impl<T> State<T> {
    fn in_use(&self) -> usize {
        self.sessions + self.visits + self.closing
    }

    fn count(&mut self, of: Use) -> &mut usize {
        match of {
            Use::Session => &mut self.sessions,
            Use::Visit => &mut self.visits,
            Use::Closing => &mut self.closing,
        }
    }

    /// Where sessions have the whole budget, one visit goes on beside them: it must not wait for a migration's end,
    /// and no session has to wait for it.
    fn has_room(&self, of: Use) -> bool {
        self.in_use() < self.limit
            || match of {
                Use::Session => self.closing == 0 && self.visits <= 1,
                Use::Visit => self.closing == 0 && self.visits == 0,
                Use::Closing => true,
            }
    }

    fn over(&mut self) -> Option<T> {
        if self.in_use() + self.idle.len() <= self.limit {
            return None;
        }
        self.oldest_idle()
    }

    fn oldest_idle(&mut self) -> Option<T> {
        self.idle.pop_front().map(|idle| idle.connection)
    }
}

impl<T> Budget<T> {
    /// A budget of at least one connection.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            configured: limit.max(1),
            state: Mutex::new(State {
                limit: limit.max(1),
                sessions: 0,
                visits: 0,
                closing: 0,
                idle: VecDeque::new(),
                kept: 0,
                let_go: 0,
            }),
            changed: Notify::new(),
        })
    }

    /// The idle connection for a session that was used last of those that fit.
    pub(crate) fn reuse(self: &Arc<Self>, fits: impl Fn(&T) -> bool) -> Option<(T, Permit<T>)> {
        let mut state = self.state();
        let at = state.idle.iter().rposition(|idle| fits(&idle.connection))?;
        let idle = state.idle.remove(at)?;
        state.let_go += 1;
        state.sessions += 1;
        Some((idle.connection, self.permit(Use::Session)))
    }

    /// The right to open a connection. The idle ones that come with it have to be closed first: the oldest, of
    /// whatever database. A visit waits until there is room; a session waits for visits and closings only, and not
    /// for long.
    pub(crate) async fn enter(self: &Arc<Self>, of: Use) -> (ToClose<T>, Permit<T>) {
        if of == Use::Session {
            let waited = tokio::time::timeout(PATIENCE, self.admitted(of)).await;
            return waited.unwrap_or_else(|_| self.admit(self.state(), of));
        }
        self.admitted(of).await
    }

    /// Keeps a session's connection for the next tenant. Returns what has to be closed instead.
    pub(crate) fn keep(self: &Arc<Self>, connection: T, mut permit: Permit<T>) -> ToClose<T> {
        let mut state = self.state();
        if let Some(of) = permit.of.take() {
            *state.count(of) -= 1;
        }
        state.kept += 1;
        state.idle.push_back(Idle {
            connection,
            since: Instant::now(),
        });
        let over = self.all_over(&mut state);
        drop(state);
        self.changed.notify_waiters();
        over
    }

    /// Has no more open at one time from here on, up to what is configured. Returns what has to be closed for that.
    pub(crate) fn allow(self: &Arc<Self>, most: usize) -> ToClose<T> {
        let mut state = self.state();
        state.limit = most.clamp(1, self.configured);
        let over = self.all_over(&mut state);
        drop(state);
        self.changed.notify_waiters();
        over
    }

    fn all_over(self: &Arc<Self>, state: &mut State<T>) -> ToClose<T> {
        // What is closing already ends by itself: no other has to go for it.
        let open = state.sessions + state.visits + state.idle.len();
        let mut over = Vec::new();
        for _ in state.limit..open {
            let Some(old) = state.oldest_idle() else {
                break;
            };
            state.closing += 1;
            over.push((old, self.leaving(Some(Use::Closing))));
        }
        over
    }

    /// Takes out the connections that were idle for at least so long, to be closed.
    pub(crate) fn expire(self: &Arc<Self>, idle_for: Duration) -> ToClose<T> {
        let mut state = self.state();
        let mut expired = Vec::new();
        while let Some(oldest) = state.idle.front()
            && oldest.since.elapsed() >= idle_for
            && let Some(connection) = state.oldest_idle()
        {
            state.closing += 1;
            expired.push((connection, self.leaving(Some(Use::Closing))));
        }
        expired
    }

    /// Takes out the oldest idle connections until all of them, the sessions and those that are `coming` are no more than
    /// `room`, to be closed.
    pub(crate) fn fit(self: &Arc<Self>, room: usize, coming: usize) -> ToClose<T> {
        let mut state = self.state();
        let mut over = Vec::new();
        while state.sessions + coming + state.idle.len() > room
            && let Some(connection) = state.oldest_idle()
        {
            state.closing += 1;
            over.push((connection, self.leaving(Some(Use::Closing))));
        }
        over
    }

    /// Takes out the oldest idle connections until no more than `spare` are left, to be closed.
    pub(crate) fn trim(self: &Arc<Self>, spare: usize) -> ToClose<T> {
        let mut state = self.state();
        let mut over = Vec::new();
        while state.idle.len() > spare
            && let Some(connection) = state.oldest_idle()
        {
            state.closing += 1;
            over.push((connection, self.leaving(Some(Use::Closing))));
        }
        over
    }

    /// How many connections were put here idle, and how many of them are used again or closed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.kept, state.let_go)
    }

    /// Since when the oldest idle connection is idle.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.state().idle.front().map(|idle| idle.since)
    }

    async fn admitted(self: &Arc<Self>, of: Use) -> (ToClose<T>, Permit<T>) {
        loop {
            // Made before the look, so that a change right after the look wakes it.
            let changed = self.changed.notified();
            if let Some(admitted) = self.try_admit(of) {
                return admitted;
            }
            changed.await;
        }
    }

    fn try_admit(self: &Arc<Self>, of: Use) -> Option<(ToClose<T>, Permit<T>)> {
        let state = self.state();
        if state.has_room(of) {
            Some(self.admit(state, of))
        } else {
            None
        }
    }

    fn admit(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State<T>>,
        of: Use,
    ) -> (ToClose<T>, Permit<T>) {
        *state.count(of) += 1;
        // They take no place any longer: what is opened under the permit is opened after they are closed.
        let over = std::iter::from_fn(|| state.over());
        let over = over.map(|old| (old, self.leaving(None))).collect();
        (over, self.permit(of))
    }

    /// Counted already by the caller, who holds the lock.
    fn permit(self: &Arc<Self>, of: Use) -> Permit<T> {
        Permit {
            budget: Arc::clone(self),
            of: Some(of),
            was_idle: false,
        }
    }

    /// Of a connection that was idle and is to be closed.
    fn leaving(self: &Arc<Self>, of: Option<Use>) -> Permit<T> {
        Permit {
            budget: Arc::clone(self),
            of,
            was_idle: true,
        }
    }

    /// A poisoned lock only says that another thread panicked while it held the counts, which are never half changed.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Permit<T> {
    fn drop(&mut self) {
        if self.of.is_none() && !self.was_idle {
            return;
        }
        let mut state = self.budget.state();
        state.let_go += u64::from(self.was_idle);
        if let Some(of) = self.of {
            *state.count(of) -= 1;
        }
        drop(state);
        self.budget.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn now(budget: &Arc<Budget<u32>>, of: Use) -> Option<(Vec<u32>, Permit<u32>)> {
        let (over, permit) = budget.admitted(of).now_or_never()?;
        Some((over.into_iter().map(|(c, _)| c).collect(), permit))
    }

    fn full_of_idle(limit: usize) -> Arc<Budget<u32>> {
        let budget = Budget::new(limit);
        let entered: Vec<_> = (0..limit)
            .map(|_| now(&budget, Use::Session).unwrap().1)
            .collect();
        for (connection, permit) in (0..).zip(entered) {
            assert!(budget.keep(connection, permit).is_empty());
        }
        budget
    }

    #[test]
    fn the_oldest_idle_one_makes_way() {
        let budget = full_of_idle(3);
        let (over, first) = now(&budget, Use::Session).unwrap();
        assert_eq!(over, [0]);
        let (over, _visit) = now(&budget, Use::Visit).unwrap();
        assert_eq!(over, [1]);
        assert!(budget.keep(7, first).is_empty());
        let (reused, _permit) = budget.reuse(|_| true).unwrap();
        assert_eq!(reused, 7, "the newest is used again");
        assert!(budget.reuse(|connection| *connection == 1).is_none());
    }

    #[test]
    fn sessions_never_wait_for_sessions_and_keep_no_more_than_the_budget() {
        let budget = Budget::new(2);
        let entered: Vec<_> = (0..5)
            .map(|_| now(&budget, Use::Session).unwrap().1)
            .collect();
        let mut closed = Vec::new();
        for (connection, permit) in (0..).zip(entered) {
            closed.extend(budget.keep(connection, permit).into_iter().map(|(c, _)| c));
        }
        assert_eq!(closed, [0, 1, 2]);
        assert_eq!(budget.state().idle.len(), 2);
    }

    #[test]
    fn visits_wait_for_room_and_one_goes_on_beside_sessions() {
        let budget = Budget::new(2);
        let visits: Vec<_> = (0..2).map(|_| now(&budget, Use::Visit).unwrap()).collect();
        assert!(now(&budget, Use::Visit).is_none());
        assert!(now(&budget, Use::Session).is_none(), "waits for a visit");
        drop(visits);
        let sessions: Vec<_> = (0..2)
            .map(|_| now(&budget, Use::Session).unwrap())
            .collect();
        let one = now(&budget, Use::Visit).unwrap();
        assert!(now(&budget, Use::Visit).is_none());
        drop(sessions);
        assert!(now(&budget, Use::Visit).is_some());
        drop(one);
    }

    #[test]
    fn what_is_closing_counts_until_it_is_closed() {
        let budget = full_of_idle(2);
        assert!(budget.expire(Duration::from_secs(60)).is_empty());
        let closing = budget.expire(Duration::ZERO);
        assert_eq!((closing.len(), budget.oldest()), (2, None));
        for of in [Use::Visit, Use::Session] {
            assert!(now(&budget, of).is_none());
        }
        drop(closing);
        for of in [Use::Visit, Use::Session] {
            assert!(now(&budget, of).is_some());
        }
    }

    #[test]
    fn what_is_idle_no_more_is_counted_whatever_ended_it() {
        let budget = full_of_idle(4);
        assert_eq!(budget.counts(), (4, 0));
        let (reused, _session) = budget.reuse(|connection| *connection == 2).unwrap();
        let trimmed = budget.trim(2);
        assert_eq!((reused, trimmed[0].0), (2, 0));
        assert_eq!(budget.counts(), (4, 1), "it is closed only now");
        drop(trimmed);
        assert_eq!(budget.counts(), (4, 2));
        assert!(budget.trim(2).is_empty());
        budget.expire(Duration::ZERO);
        assert_eq!((budget.counts(), budget.state().idle.len()), ((4, 4), 0));
    }

    #[test]
    fn what_makes_way_is_let_go_of_when_it_is_closed() {
        let budget = full_of_idle(2);
        let (over, _session) = budget.admitted(Use::Session).now_or_never().unwrap();
        assert_eq!((over.len(), budget.counts()), (1, (2, 0)));
        drop(over);
        assert_eq!(budget.counts(), (2, 1));
    }

    #[test]
    fn what_is_idle_stays_for_claims_that_have_no_session_yet() {
        let budget = full_of_idle(4);
        let (_, _one) = budget.reuse(|_| true).unwrap();
        assert!(budget.fit(4, 0).is_empty(), "three more claims will come");
        let closed: Vec<_> = budget.fit(3, 0).into_iter().map(|(c, _)| c).collect();
        assert_eq!(closed, [0]);
        let closed: Vec<_> = budget.fit(3, 1).into_iter().map(|(c, _)| c).collect();
        assert_eq!(closed, [1], "room for one that is opened anew");
    }

    #[test]
    fn an_allowance_closes_what_is_idle_above_it_and_is_never_above_the_budget() {
        let budget = full_of_idle(4);
        let closed: Vec<_> = budget.allow(3).into_iter().map(|(c, _)| c).collect();
        assert_eq!(closed, [0]);
        let (_, _one) = budget.reuse(|_| true).unwrap();
        assert!(budget.allow(9).is_empty());
        let (over, _two) = now(&budget, Use::Session).unwrap();
        assert!(over.is_empty(), "four may be open");
        let (over, _three) = now(&budget, Use::Session).unwrap();
        assert_eq!(over, [1], "and no more than four");
    }

    #[tokio::test]
    async fn a_visit_is_woken_when_there_is_room() {
        let budget: Arc<Budget<u32>> = Budget::new(1);
        let first = now(&budget, Use::Visit).unwrap();
        let second = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { drop(budget.enter(Use::Visit).await) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap();
        assert_eq!(budget.state().in_use(), 0);
    }
}
