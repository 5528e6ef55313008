//! The connection for commands: bounded in time, replaced after any failure, unused while the circuit is open.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, Pipeline, PushInfo, PushKind};

use super::circuit::Circuit;
use super::server::Server;
use super::trouble::{Failure, Trouble};
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
    connection: Option<Connection>,
    /// Counts connections, so that the failure of an old one does not cost a newer one.
    generation: u64,
}

/// A connection that is there, or that the next callers make together.
#[derive(Clone)]
struct Connection {
    made: Shared<BoxFuture<'static, Result<MultiplexedConnection, Trouble>>>,
    /// The server closed it, perhaps while nobody was asking.
    lost: Arc<AtomicBool>,
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
        let (connection, generation) = self.connection();
        let asked = async {
            let mut connection = connection.made.await?;
            Ok(pipeline.query_async(&mut connection).await?)
        };
        let answer = tokio::time::timeout(self.patience, asked).await;
        let trouble = match answer.unwrap_or_else(|_| Err(Trouble::silent(self.patience))) {
            Ok(answers) => {
                self.circuit.succeeded();
                return Ok(answers);
            }
            Err(trouble) => trouble,
        };
        let error = self.server.failed(&trouble);
        self.failed(generation, trouble.failure, &error);
        Err(error)
    }

    /// The present connection, made lazily: the handshake, and the question who is master, are part of the first call.
    fn connection(&self) -> (Connection, u64) {
        let mut state = self.state();
        if let Some(connection) = &state.connection
            && !connection.lost.load(Ordering::Acquire)
        {
            return (connection.clone(), state.generation);
        }
        let connection = Connection::to(self.server.clone(), self.patience);
        state.connection = Some(connection.clone());
        state.generation += 1;
        (connection, state.generation)
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

impl Connection {
    /// To the server that is master when the first caller waits for it.
    fn to(server: Server, patience: Duration) -> Self {
        let lost = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&lost);
        let hear = move |push: PushInfo| -> Result<(), std::convert::Infallible> {
            if push.kind == PushKind::Disconnection {
                heard.store(true, Ordering::Release);
            }
            Ok(())
        };
        let half = patience / 2;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(half))
            .set_response_timeout(Some(half))
            .set_push_sender(hear);
        let made = async move { server.connect(&config, patience).await };
        Self {
            made: made.boxed().shared(),
            lost,
        }
    }
}
