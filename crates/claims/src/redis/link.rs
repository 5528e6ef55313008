//! The connection for commands: bounded in time, replaced after any failure.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{FromRedisValue, Pipeline, RedisResult};

use super::server::Server;
use crate::port::ClaimsError;

/// A command connection that comes back by itself.
pub(super) struct Link {
    server: Server,
    /// A whole call, connection included, ends within this.
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<ConnectionManager>,
    /// Counts connections, so that the failure of an old one does not cost a newer one.
    generation: u64,
    /// The last call failed; told once, not once per call.
    away: bool,
}

impl Link {
    pub(super) fn new(server: Server, patience: Duration) -> Self {
        Self {
            server,
            patience,
            state: Mutex::default(),
        }
    }

    pub(super) fn error(&self, message: impl ToString) -> ClaimsError {
        self.server.error(message)
    }

    /// Sends a pipeline and reads its answers. Never retries: the caller knows what is still worth doing.
    pub(super) async fn send<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, ClaimsError> {
        let (mut connection, generation) = self.connection().map_err(|e| self.error(e))?;
        let answer =
            tokio::time::timeout(self.patience, pipeline.query_async(&mut connection)).await;
        let error = match answer {
            Ok(Ok(answers)) => {
                self.succeeded();
                return Ok(answers);
            }
            Ok(Err(error)) => self.error(error),
            Err(_) => self.error(format!("no answer within {:?}", self.patience)),
        };
        self.failed(generation, &error);
        Err(error)
    }

    /// The present connection, made lazily: the handshake is part of the first call.
    fn connection(&self) -> RedisResult<(ConnectionManager, u64)> {
        let mut state = self.state();
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), state.generation));
        }
        let half = self.patience / 2;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(half))
            .set_response_timeout(Some(half))
            .set_number_of_retries(0);
        let connection =
            ConnectionManager::new_lazy_with_config(self.server.client().clone(), config)?;
        state.connection = Some(connection.clone());
        state.generation += 1;
        Ok((connection, state.generation))
    }

    fn succeeded(&self) {
        if std::mem::take(&mut self.state().away) {
            tracing::info!(server = self.server.shown(), "claims server is back");
        }
    }

    /// A time-out or a refused handshake leaves a connection that stays useless, so a new one is made.
    fn failed(&self, generation: u64, error: &ClaimsError) {
        let mut state = self.state();
        if state.generation == generation {
            state.connection = None;
        }
        if !std::mem::replace(&mut state.away, true) {
            tracing::warn!(
                %error,
                "claims server does not answer: going on without tenant locks, more slowly"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
