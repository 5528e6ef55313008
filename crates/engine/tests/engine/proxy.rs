//! A proxy in front of PostgreSQL that counts what the engine sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Counts messages of the simple protocol and connections.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    queries: Arc<AtomicUsize>,
    others: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self {
            port,
            queries: Arc::default(),
            others: Arc::default(),
            connections: Arc::default(),
        };
        let (queries, others) = (Arc::clone(&proxy.queries), Arc::clone(&proxy.others));
        let connections = Arc::clone(&proxy.connections);
        let upstream = upstream.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let server = TcpStream::connect(&upstream).await.unwrap();
                tokio::spawn(relay(
                    client,
                    server,
                    Arc::clone(&queries),
                    Arc::clone(&others),
                ));
            }
        });
        proxy
    }

    /// Simple-protocol messages since the last look.
    pub(crate) fn queries(&self) -> usize {
        self.queries.swap(0, Ordering::SeqCst)
    }

    /// Messages of the extended protocol (Parse, Bind, Execute) so far.
    pub(crate) fn others(&self) -> usize {
        self.others.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn relay(
    client: TcpStream,
    server: TcpStream,
    queries: Arc<AtomicUsize>,
    others: Arc<AtomicUsize>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
    });
    // Start-up packets have no type: those that ask for TLS are refused by the server and followed by another.
    let mut started = false;
    loop {
        let mut kind = [0];
        if started && from_client.read_exact(&mut kind).await.is_err() {
            break;
        }
        let mut length = [0; 4];
        if from_client.read_exact(&mut length).await.is_err() {
            break;
        }
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        if from_client.read_exact(&mut body).await.is_err() {
            break;
        }
        match kind[0] {
            b'Q' => queries.fetch_add(1, Ordering::SeqCst),
            b'P' | b'B' | b'E' => others.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
        let mut packet = Vec::new();
        packet.extend(started.then_some(kind[0]));
        packet.extend(length);
        packet.extend(&body);
        if to_server.write_all(&packet).await.is_err() {
            break;
        }
        let asks_for_tls = body == 80_877_103u32.to_be_bytes();
        started = started || !asks_for_tls;
    }
}
