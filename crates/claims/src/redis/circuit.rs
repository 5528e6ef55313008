//! Whether the server is asked at all: one that keeps callers waiting is left alone until it answers a probe.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::server::Server;
use super::trouble::Failure;
use crate::port::ClaimsError;

/// Before the first probe of a server that broke a connection: a restart or a dropped connection is soon over.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Between two probes, whatever the locks' time to live.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Open while the server is left alone: then no call waits for it, and one task probes it.
pub(super) struct Circuit(Arc<Inner>);

struct Inner {
    server: Server,
    /// Bounds a probe.
    patience: Duration,
    longest: Duration,
    state: Mutex<State>,
}

struct State {
    open: Option<Open>,
    /// The server refused the last call; told once, not once per call.
    refused: bool,
    /// Before the next probe. Grows until a caller's own call succeeds: a probe that is answered proves less.
    pause: Duration,
}

struct Open {
    /// The latest failure, for the callers that are turned away.
    cause: String,
    probing: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.probing.abort();
    }
}

impl Circuit {
    /// A closed one.
    pub(super) fn new(server: Server, patience: Duration) -> Self {
        // A time-out and this take half a lock's life together: a server that is back by then gets a renewal in time.
        let longest = (patience / 2).min(LONGEST_PAUSE);
        let pause = FIRST_PAUSE.min(longest);
        let state = State {
            open: None,
            refused: false,
            pause,
        };
        Self(Arc::new(Inner {
            server,
            patience,
            longest,
            state: Mutex::new(state),
        }))
    }

    /// # Errors
    /// While the server is left alone.
    pub(super) fn check(&self) -> Result<(), ClaimsError> {
        match &self.0.state().open {
            None => Ok(()),
            Some(open) => Err(self.0.server.error(format!(
                "left alone until it answers again ({})",
                open.cause
            ))),
        }
    }

    /// A caller's call succeeded.
    pub(super) fn succeeded(&self) {
        self.0.state().pause = FIRST_PAUSE.min(self.0.longest);
        self.0.close();
    }

    /// A caller's call failed. Must be called inside a Tokio runtime.
    pub(super) fn failed(&self, failure: Failure, error: &ClaimsError) {
        let mut state = self.0.state();
        if failure == Failure::Refused {
            if !std::mem::replace(&mut state.refused, true) {
                tracing::warn!(
                    %error,
                    "claims server refuses: going on without tenant locks, more slowly"
                );
            }
            return;
        }
        if state.open.is_some() {
            return;
        }
        if failure == Failure::Silent {
            state.pause = self.0.longest;
        }
        tracing::warn!(
            %error,
            "claims server does not answer: leaving it alone and going on without tenant locks, more slowly"
        );
        state.open = Some(Open {
            cause: error.message.clone(),
            probing: tokio::spawn(probe_until_answered(Arc::clone(&self.0))),
        });
    }
}

impl Drop for Circuit {
    /// Ends the probing, which holds what it probes for.
    fn drop(&mut self) {
        self.0.state().open = None;
    }
}

impl Inner {
    fn close(&self) {
        let mut state = self.state();
        let refused = std::mem::take(&mut state.refused);
        if state.open.take().is_some() || refused {
            tracing::info!(server = self.server.shown(), "claims server is back");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn probe_until_answered(circuit: Arc<Inner>) {
    loop {
        let pause = circuit.state().pause;
        // Many processes lost the server at the same moment; they need not all come back at one.
        let part = rand::rng().random_range(0.5..1.0);
        sleep(pause.mul_f64(part)).await;
        let answer = circuit.server.probe(circuit.patience).await;
        circuit.state().pause = (pause * 2).min(circuit.longest);
        match answer {
            Ok(()) => return circuit.close(),
            Err(error) => {
                if let Some(open) = &mut circuit.state().open {
                    open.cause = error.message;
                }
            }
        }
    }
}
