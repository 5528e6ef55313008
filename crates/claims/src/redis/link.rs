//! The connection for commands: bounded in time, replaced after any failure, unused while the circuit is open.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{FromRedisValue, Pipeline, RedisError, RedisResult};

use super::circuit::{Circuit, Failure};
use super::server::Server;
use crate::port::ClaimsError;

/// A command connection that comes back by itself.
pub(super) struct Link {
    server: Server,
    /// A whole call, connection included, ends within this.
    patience: Duration,
    circuit: Circuit,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<ConnectionManager>,
    /// Counts connections, so that the failure of an old one does not cost a newer one.
    generation: u64,
}

impl Link {
    pub(super) fn new(server: Server, patience: Duration) -> Self {
        Self {
            circuit: Circuit::new(server.clone(), patience),
            server,
            patience,
            state: Mutex::default(),
        }
    }

    pub(super) fn error(&self, message: impl ToString) -> ClaimsError {
        self.server.error(message)
    }

    /// Sends a pipeline and reads its answers. Never retries: the caller knows what is still worth doing.
    ///
    /// # Errors
    /// When there is no good answer within the patience; at once while the server is left alone.
    pub(super) async fn send<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, ClaimsError> {
        self.circuit.check()?;
        let (mut connection, generation) = self.connection().map_err(|e| self.error(e))?;
        let answer =
            tokio::time::timeout(self.patience, pipeline.query_async(&mut connection)).await;
        let (failure, error) = match answer {
            Ok(Ok(answers)) => {
                self.circuit.succeeded();
                return Ok(answers);
            }
            Ok(Err(error)) => (kind(&error), self.error(error)),
            Err(_) => (
                Failure::Silent,
                self.error(format!("no answer within {:?}", self.patience)),
            ),
        };
        self.failed(generation, failure, &error);
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

    /// A time-out or a refused handshake leaves a connection that stays useless, so a new one is made.
    ///
    /// A failure on a connection that was given up already is no news: the server may be back since.
    fn failed(&self, generation: u64, failure: Failure, error: &ClaimsError) {
        let given_up = {
            let mut state = self.state();
            let present = state.generation == generation;
            present && state.connection.take().is_some()
        };
        if given_up {
            self.circuit.failed(failure, error);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind(error: &RedisError) -> Failure {
    if error.is_timeout() {
        Failure::Silent
    } else if error.is_io_error() {
        Failure::Broken
    } else {
        Failure::Refused
    }
}
