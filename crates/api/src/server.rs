//! The server of a process.

use std::net::SocketAddr;
use std::sync::Arc;

use sanderling_telemetry::{Metrics, UPKEEP};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::probes::{Ready, routes};

/// Nothing can be listened for at an address.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address}: {error}; give another address with --listen, or [metrics] listen"
)]
pub struct ListenError {
    /// The address as it was given.
    pub address: String,
    /// What the system says.
    pub error: std::io::Error,
}

/// An address that is listened on and not answered yet.
#[derive(Debug)]
pub struct Listening(TcpListener);

impl Listening {
    /// Listens on `host:port`; port 0 is a free one.
    ///
    /// # Errors
    /// The address is not one, is not this machine's, or is taken.
    pub async fn on(address: &str) -> Result<Self, ListenError> {
        let listener = TcpListener::bind(address).await;
        listener.map(Self).map_err(|error| ListenError {
            address: address.to_owned(),
            error,
        })
    }

    /// The address, with the port that it really has.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// What a process answers.
pub struct Server {
    /// Its metrics.
    pub metrics: Metrics,
    /// Whether it can work.
    pub ready: Arc<Ready>,
}

impl Server {
    /// Answers until `stop` is cancelled. Requests under way are answered; nobody is waited for longer.
    pub async fn run(self, listening: Listening, stop: CancellationToken) {
        let routes = routes(self.metrics, self.ready);
        let stopped = stop.clone();
        let serving = axum::serve(listening.0, routes)
            .with_graceful_shutdown(async move { stopped.cancelled().await });
        tokio::select! {
            served = serving => if let Err(error) = served {
                tracing::error!(%error, "metrics and probes are not answered any more");
            },
            () = async { stop.cancelled().await; tokio::time::sleep(std::time::Duration::from_secs(1)).await } => {}
        }
    }
}

/// Keeps what is recorded in order, for as long as the process lives.
pub async fn upkeep(metrics: Metrics) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        metrics.upkeep();
    }
}
