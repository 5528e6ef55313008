//! What the proxy's owner and its connections tell one another.

use std::time::Duration;

use tokio::sync::watch;

use super::frames::{Frame, Protocol};
use super::message::{Fault, Message, Way};

/// How a connection ends by the proxy's will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides are closed.
    Closed,
    /// Both sides are reset.
    Reset,
    /// The client is gone; the server's side lives on with what the trap of this number holds.
    ClientGone(usize),
}

/// Everything that may be waited for.
#[derive(Default)]
pub(super) struct State {
    pub(super) traps: Vec<Caught>,
    pub(super) refusing: bool,
    pub(super) black: bool,
    pub(super) latency: Duration,
    /// Connections below this number end.
    pub(super) ended: Option<(usize, End)>,
    pub(super) queries: usize,
    pub(super) others: usize,
    pub(super) connections: usize,
    pub(super) open: usize,
}

/// A trap, and what is in it.
pub(super) struct Caught {
    message: Message,
    fault: Fault,
    fitted: usize,
    /// The connection that it caught a message of.
    pub(super) link: Option<usize>,
    pub(super) released: bool,
    pub(super) kill_client: bool,
    pub(super) client_gone: bool,
    pub(super) delivered: bool,
    /// Bytes that the server has still to get.
    pub(super) rest: Vec<u8>,
    /// What the server said since, and whether it has finished.
    pub(super) answer: Vec<u8>,
    pub(super) answered: bool,
}

impl State {
    pub(super) fn set(&mut self, message: Message, fault: Fault) -> usize {
        self.traps.push(Caught {
            message,
            fault,
            fitted: 0,
            link: None,
            released: false,
            kill_client: false,
            client_gone: false,
            delivered: false,
            rest: Vec::new(),
            answer: Vec::new(),
            answered: false,
        });
        self.traps.len() - 1
    }

    /// The trap that catches this message; it then catches no other.
    pub(super) fn spring(
        &mut self,
        link: usize,
        way: Way,
        frame: &Frame,
        first: &[u8],
    ) -> Option<(usize, Fault)> {
        for (id, trap) in self.traps.iter_mut().enumerate() {
            if trap.link.is_none() && trap.message.fits(way, &frame.bytes, first) {
                trap.fitted += 1;
                if trap.fitted == trap.message.nth {
                    trap.link = Some(link);
                    return Some((id, trap.fault));
                }
            }
        }
        None
    }

    /// Whether nothing passes on a connection.
    pub(super) fn is_black(&self, link: usize) -> bool {
        self.black || self.holding(link, Fault::Blackhole).is_some()
    }

    /// The trap that holds the answers of a connection.
    pub(super) fn gate(&self, link: usize) -> Option<usize> {
        self.holding(link, Fault::HoldAnswer)
    }

    fn holding(&self, link: usize, fault: Fault) -> Option<usize> {
        self.traps
            .iter()
            .position(|trap| trap.link == Some(link) && trap.fault == fault && !trap.released)
    }

    /// How a connection has to end, if it has to.
    pub(super) fn end_of(&self, link: usize) -> Option<End> {
        let ended = self
            .ended
            .filter(|(below, _)| link < *below)
            .map(|(_, end)| end);
        let killed = |trap: &Caught| trap.link == Some(link) && trap.kill_client;
        ended.or_else(|| self.traps.iter().position(killed).map(End::ClientGone))
    }

    pub(super) fn count(&mut self, frame: &Frame) {
        match frame.kind {
            Some(b'Q') => self.queries += 1,
            Some(b'P' | b'B' | b'E') => self.others += 1,
            _ => {}
        }
    }
}

/// The state, and how to wait for it.
pub(super) struct Shared {
    state: watch::Sender<State>,
    pub(super) protocol: Protocol,
}

impl Shared {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            state: watch::Sender::new(State::default()),
            protocol,
        }
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.borrow())
    }

    /// Changes what somebody may wait for.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut answer = None;
        self.state.send_modify(|state| answer = Some(change(state)));
        answer.expect("the change has been made")
    }

    /// Changes what nobody waits for: each message is counted, and must not wake every connection.
    pub(super) fn tally<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut answer = None;
        self.state.send_if_modified(|state| {
            answer = Some(change(state));
            false
        });
        answer.expect("the change has been made")
    }

    /// Waits until the state is as wished.
    pub(super) async fn when(&self, wished: impl FnMut(&State) -> bool) {
        // The sender lives as long as `self`, so this ends only when the wish is fulfilled.
        let _ = self.state.subscribe().wait_for(wished).await;
    }
}
