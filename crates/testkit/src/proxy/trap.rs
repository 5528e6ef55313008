//! A trap as its owner sees it.

use std::sync::Arc;
use std::time::Duration;

use super::shared::{Caught, Shared};
use crate::{until, until_async};

/// Set by [`super::Proxy::trap`] for one message. Dropping it changes nothing: what it holds stays held.
pub struct Trap {
    shared: Arc<Shared>,
    id: usize,
}

impl Trap {
    pub(super) fn new(shared: Arc<Shared>, id: usize) -> Self {
        Self { shared, id }
    }

    /// Whether it has caught its message.
    pub fn is_sprung(&self) -> bool {
        self.look(|trap| trap.link.is_some())
    }

    /// Waits until it has caught its message.
    ///
    /// # Panics
    /// At the deadline.
    #[track_caller]
    pub fn wait(&self, deadline: Duration) {
        until(deadline, "a message in the trap", || {
            self.is_sprung().then_some(())
        });
    }

    /// [`Trap::wait`] for tests that await.
    ///
    /// # Panics
    /// As [`Trap::wait`].
    pub async fn wait_async(&self, deadline: Duration) {
        until_async(deadline, "a message in the trap", async || {
            self.is_sprung().then_some(())
        })
        .await;
    }

    /// Lets go of what is held.
    pub fn release(&self) {
        self.change(|trap| trap.released = true);
    }

    /// Resets the client's side and keeps the server's: as when a process dies whose bytes are still on their way.
    /// [`Trap::release`] then delivers them. The server is not told of the client's end.
    pub fn kill_client(&self) {
        self.change(|trap| trap.kill_client = true);
    }

    /// Whether the client has ended, by [`Trap::kill_client`] or by itself, while its message was held.
    pub fn is_client_gone(&self) -> bool {
        self.look(|trap| trap.client_gone)
    }

    /// Whether a message that was held has been handed to its receiver.
    pub fn is_delivered(&self) -> bool {
        self.look(|trap| trap.delivered)
    }

    /// What the server said to the message, as text, once it has finished: an answer that is held, or the answer to a
    /// message of a client that is gone.
    pub fn answer(&self) -> Option<String> {
        self.look(|trap| {
            trap.answered
                .then(|| String::from_utf8_lossy(&trap.answer).into_owned())
        })
    }

    /// Waits for [`Trap::answer`].
    ///
    /// # Panics
    /// At the deadline.
    #[track_caller]
    pub fn wait_answer(&self, deadline: Duration) -> String {
        until(deadline, "the server's answer", || self.answer())
    }

    /// [`Trap::wait_answer`] for tests that await.
    ///
    /// # Panics
    /// As [`Trap::wait_answer`].
    pub async fn wait_answer_async(&self, deadline: Duration) -> String {
        until_async(deadline, "the server's answer", async || self.answer()).await
    }

    fn look<T>(&self, look: impl FnOnce(&Caught) -> T) -> T {
        self.shared.look(|state| look(&state.traps[self.id]))
    }

    fn change(&self, change: impl FnOnce(&mut Caught)) {
        self.shared
            .change(|state| change(&mut state.traps[self.id]));
    }
}
