//! A small pool of dedicated connections. Not sqlx's: there, a future dropped in `begin` leaves a connection behind
//! that is inside a transaction (0.9.0). Here a connection belongs to one task from BEGIN to COMMIT, nobody aborts
//! that task, and only a connection known to be outside a transaction comes back.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::connection::{Connection, Connector};
use super::fault::Fault;

/// Up to `size` connections of one connector.
pub(crate) struct Pool {
    /// Who opens them.
    pub(crate) connector: Arc<dyn Connector>,
    idle: Mutex<Vec<Box<dyn Connection>>>,
    /// Who may have one.
    pub(crate) seats: Semaphore,
}

impl Pool {
    /// An empty pool; connections open when they are needed.
    pub(crate) fn new(connector: Arc<dyn Connector>, size: usize) -> Self {
        Self {
            connector,
            idle: Mutex::new(Vec::new()),
            seats: Semaphore::new(size),
        }
    }

    /// A connection on which `begin` has just succeeded (absent: none was asked for), and whether it was kept from
    /// before and has not answered yet.
    ///
    /// A kept connection may have died unnoticed. If its BEGIN fails nothing has happened yet, so a new connection
    /// takes its place.
    pub(crate) async fn begun(
        &self,
        begin: Option<&str>,
    ) -> Result<(Box<dyn Connection>, bool), Fault> {
        let kept = self.lock().pop();
        if let Some(mut connection) = kept {
            let Some(begin) = begin else {
                return Ok((connection, true));
            };
            match connection.batch(begin).await {
                Ok(()) => return Ok((connection, false)),
                Err(_) => self.forget(),
            }
        }
        let mut connection = self.connector.connect().await?;
        if let Some(begin) = begin {
            connection.batch(begin).await?;
        }
        Ok((connection, false))
    }

    /// Drops the idle connections: one has died, and the others will have died of the same cause.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    /// Takes back a connection that is outside a transaction, if it can serve another one.
    pub(crate) fn keep(&self, connection: Box<dyn Connection>) {
        if connection.reusable() {
            self.lock().push(connection);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
