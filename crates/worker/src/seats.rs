//! Connections of a host that this worker may have at one time, where it holds more claims there than that: the others
//! wait here, first come first served.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sanderling_core::HostName;
use tokio::sync::oneshot;

/// The seats of every host.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<BTreeMap<HostName, Arc<Host>>>);

#[derive(Debug, Default)]
struct Host(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    most: u32,
    taken: u32,
    waiting: VecDeque<oneshot::Sender<Seat>>,
}

/// The right to have one connection to a host; given back on drop.
#[derive(Debug)]
pub(crate) struct Seat(Option<Arc<Host>>);

impl Seats {
    /// Notes how many the control store grants, with each claim there.
    pub(crate) fn allow(&self, host: &HostName, most: u32) {
        let host = self.host(host);
        host.state().most = most;
        host.hand_out();
    }

    /// Waits for one; to be dropped as soon as its connection was given back or closed.
    pub(crate) async fn take(&self, host: &HostName) -> Seat {
        let host = self.host(host);
        let (give, given) = oneshot::channel();
        host.state().waiting.push_back(give);
        host.hand_out();
        // Its other end stays in the queue until a seat went through it.
        given.await.unwrap_or(Seat(None))
    }

    /// How many are taken; `None` where each claim brings its own connection.
    pub(crate) fn taken(&self, host: &HostName) -> Option<u32> {
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(host).map(|host| host.state().taken)
    }

    fn host(&self, host: &HostName) -> Arc<Host> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.entry(host.clone()).or_default().clone()
    }
}

impl Host {
    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers and a queue: a panic elsewhere leaves them whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_out(self: &Arc<Self>) {
        loop {
            let next = {
                let mut state = self.state();
                if state.taken >= state.most {
                    return;
                }
                let Some(next) = state.waiting.pop_front() else {
                    return;
                };
                state.taken += 1;
                next
            };
            // Whoever stopped waiting gives it back here.
            drop(next.send(Seat(Some(self.clone()))));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(host) = self.0.take() {
            host.state().taken -= 1;
            host.hand_out();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_free(seats: &Seats) -> Option<Seat> {
        futures::FutureExt::now_or_never(seats.take(&HostName::new("h")))
    }

    #[tokio::test]
    async fn no_more_than_allowed_and_first_come_first_served() {
        let seats = Arc::new(Seats::default());
        let host = HostName::new("h");
        assert!(is_free(&seats).is_none(), "nothing was granted");
        seats.allow(&host, 2);
        let (one, two) = (is_free(&seats).unwrap(), is_free(&seats).unwrap());
        assert_eq!(seats.taken(&host), Some(2));
        assert_eq!(seats.taken(&HostName::new("other")), None);
        assert!(is_free(&seats).is_none());
        let waits = tokio::spawn({
            let (seats, host) = (seats.clone(), host.clone());
            async move { seats.take(&host).await }
        });
        tokio::task::yield_now().await;
        drop(one);
        assert!(is_free(&seats).is_none(), "it went to who waited");
        let three = waits.await.unwrap();
        seats.allow(&host, 1);
        drop((two, three));
        let four = is_free(&seats).unwrap();
        assert!(is_free(&seats).is_none());
        drop(four);
    }
}
