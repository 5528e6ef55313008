//! A TCP proxy that does to messages what networks and crashes do to them.

mod frames;
mod link;
mod message;
mod shared;
mod trap;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

pub use message::{Fault, Message};
pub use trap::Trap;

use frames::Protocol;
use shared::{End, Shared};

/// Stands between clients and one server. It runs on a thread of its own, so tests of both kinds can use it, and it
/// ends with its owner.
///
/// Everything passes until it is told otherwise: by [`Proxy::trap`] for one message, by the other verbs for all
/// connections at once.
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// In front of the PostgreSQL server of this URL; its messages are told apart.
    ///
    /// # Panics
    /// When the URL names no address or the loopback interface has no free port.
    pub fn postgres(url: &str) -> Self {
        Self::start(url, Protocol::Postgres)
    }

    /// In front of a server of any kind; a message is what one read gives, as a Redis command does.
    ///
    /// # Panics
    /// As [`Proxy::postgres`].
    pub fn raw(url: &str) -> Self {
        Self::start(url, Protocol::Raw)
    }

    fn start(url: &str, protocol: Protocol) -> Self {
        let server = address(url).unwrap_or_else(|| panic!("no address of a server in {url}"));
        let listener =
            TcpListener::bind("127.0.0.1:0").expect("the loopback interface has a free port");
        let port = listener
            .local_addr()
            .expect("a bound listener has an address")
            .port();
        let shared = Arc::new(Shared::new(protocol));
        let (stop, stopped) = oneshot::channel();
        let here = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("testkit-proxy".to_owned())
            .spawn(move || serve(here, listener, server, stopped))
            .expect("a thread can be started");
        Self {
            shared,
            port,
            url: through(url, port),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The port it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's URL with the proxy in its place.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Another URL of the same server with the proxy in its place.
    pub fn through(&self, url: &str) -> String {
        through(url, self.port)
    }

    /// Does `fault` to the first message that fits and that no earlier trap caught.
    pub fn trap(&self, message: Message, fault: Fault) -> Trap {
        let id = self.shared.change(|state| state.set(message, fault));
        Trap::new(Arc::clone(&self.shared), id)
    }

    /// Lets nothing pass in either direction, on connections that are there and on new ones, until [`Proxy::heal`].
    pub fn blackhole(&self) {
        self.shared.change(|state| state.black = true);
    }

    /// Resets every new connection at once, until [`Proxy::heal`].
    pub fn refuse(&self) {
        self.shared.change(|state| state.refusing = true);
    }

    /// Holds each message for this long, in both directions, until [`Proxy::heal`].
    pub fn delay(&self, latency: Duration) {
        self.shared.change(|state| state.latency = latency);
    }

    /// Takes [`Proxy::blackhole`], [`Proxy::refuse`] and [`Proxy::delay`] back. Traps stay.
    pub fn heal(&self) {
        self.shared.change(|state| {
            state.black = false;
            state.refusing = false;
            state.latency = Duration::ZERO;
        });
    }

    /// Resets both sides of every connection there is (RST).
    pub fn reset(&self) {
        self.end(End::Reset);
    }

    /// Closes both sides of every connection there is (FIN).
    pub fn close(&self) {
        self.end(End::Closed);
    }

    fn end(&self, end: End) {
        self.shared
            .change(|state| state.ended = Some((state.connections, end)));
    }

    /// Queries of PostgreSQL's simple protocol since the last look.
    pub fn queries(&self) -> usize {
        self.shared
            .tally(|state| std::mem::take(&mut state.queries))
    }

    /// Messages of PostgreSQL's extended protocol (Parse, Bind, Execute) so far.
    pub fn others(&self) -> usize {
        self.shared.look(|state| state.others)
    }

    /// Connections so far, refused ones excepted.
    pub fn connections(&self) -> usize {
        self.shared.look(|state| state.connections)
    }

    /// Connections that have not ended on the server's side.
    pub fn open(&self) -> usize {
        self.shared.look(|state| state.open)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say: what went wrong on a connection has been seen at its ends.
            let _ = thread.join();
        }
    }
}

/// The proxy's thread: accepts until it is told to stop, which ends all connections.
fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    server: SocketAddr,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        tokio::select! {
            _ = stopped => {}
            ended = accept(shared, listener, server) => drop(ended),
        }
    });
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, server: SocketAddr) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        if shared.look(|state| state.refusing) {
            link::reset(client);
            continue;
        }
        let number = shared.tally(|state| {
            state.connections += 1;
            state.open += 1;
            state.connections - 1
        });
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            link::carry(&shared, number, client, server).await;
            shared.tally(|state| state.open -= 1);
        });
    }
}

/// The server's address; `host:port` alone is taken too.
fn address(url: &str) -> Option<SocketAddr> {
    authority(url).to_socket_addrs().ok()?.next()
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let whole = rest.split(['/', '?']).next().unwrap_or(rest);
    whole.rsplit_once('@').map_or(whole, |(_, host)| host)
}

fn through(url: &str, port: u16) -> String {
    url.replacen(authority(url), &format!("127.0.0.1:{port}"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_everything_but_its_address() {
        assert_eq!(
            through("postgres://postgres@127.0.0.1:5432/app?a=b", 7),
            "postgres://postgres@127.0.0.1:7/app?a=b"
        );
        assert_eq!(
            through("redis://:pw@localhost:6379", 7),
            "redis://:pw@127.0.0.1:7"
        );
        assert_eq!(address("127.0.0.1:80").unwrap().port(), 80);
        assert_eq!(address("nowhere"), None);
    }
}
