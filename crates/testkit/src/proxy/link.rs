//! One connection.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::OnceLock;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frames::{Frame, Frames, Talk};
use super::message::{Fault, Way};
use super::shared::{End, Shared};

/// Carries messages until both sides have ended or the proxy's owner wants it otherwise.
pub(super) async fn carry(
    shared: &Shared,
    number: usize,
    mut client: TcpStream,
    server: SocketAddr,
) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return reset(client);
    };
    // Without this a half of a message would wait for the acknowledgement of the other.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let link = Link::new(shared, number);
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            ended = async { tokio::try_join!(link.up(from_client, to_server), link.down(from_server, to_client)) } => {
                ended.err().unwrap_or(End::Closed)
            }
            end = link.ordered() => end,
        }
    };
    match end {
        End::Closed => {}
        End::Reset => {
            reset(client);
            reset(server);
        }
        End::ClientGone(trap) => {
            reset(client);
            tokio::select! {
                () = link.outlive(trap, server) => {}
                () = shared.when(|state| state.ended.is_some_and(|(below, _)| number < below)) => {}
            }
        }
    }
}

/// Ends a socket with RST.
pub(super) fn reset(stream: TcpStream) {
    // A socket that has ended already has nothing to reset.
    let _ = stream.set_zero_linger();
}

struct Link<'a> {
    shared: &'a Shared,
    number: usize,
    talk: Talk,
    /// The first message of the client that was not a question about encryption.
    first: OnceLock<Vec<u8>>,
}

impl<'a> Link<'a> {
    fn new(shared: &'a Shared, number: usize) -> Self {
        Self {
            shared,
            number,
            talk: Talk::new(shared.protocol),
            first: OnceLock::new(),
        }
    }

    /// An end that the proxy's owner orders.
    async fn ordered(&self) -> End {
        self.shared
            .when(|state| state.end_of(self.number).is_some())
            .await;
        self.shared
            .look(|state| state.end_of(self.number))
            .unwrap_or(End::Closed)
    }

    /// From the client to the server.
    async fn up<R, W>(&self, from: R, mut to: W) -> Result<(), End>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut frames = Frames::new(from, Way::ToServer, &self.talk);
        while let Some(frame) = frames.next().await {
            if frame.bytes.len() > 8 {
                self.first.get_or_init(|| frame.bytes.clone());
            }
            self.shared.tally(|state| state.count(&frame));
            if self
                .pass(Way::ToServer, frame, &mut frames, &mut to)
                .await?
            {
                return Ok(());
            }
        }
        // A server that has ended first needs no end of file.
        let _ = to.shutdown().await;
        Ok(())
    }

    /// From the server to the client.
    async fn down<R, W>(&self, from: R, mut to: W) -> Result<(), End>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut frames = Frames::new(from, Way::ToClient, &self.talk);
        let mut held = Vec::new();
        loop {
            let gate = self.shared.look(|state| state.gate(self.number));
            if gate.is_none() {
                // A client that is gone is noticed where it is read from.
                let _ = to.write_all(&std::mem::take(&mut held)).await;
            }
            let opens = self
                .shared
                .when(|state| gate.is_some() && state.gate(self.number) != gate);
            let next = tokio::select! {
                biased;
                () = opens => continue,
                next = frames.next() => next,
            };
            let Some(frame) = next else { break };
            // The gate may have closed while this was waited for.
            if let Some(trap) = self.shared.look(|state| state.gate(self.number)) {
                self.note_answer(trap, &frame);
                held.extend(frame.bytes);
            } else if self
                .pass(Way::ToClient, frame, &mut frames, &mut to)
                .await?
            {
                return Ok(());
            }
        }
        self.shared
            .when(|state| state.gate(self.number).is_none())
            .await;
        let _ = to.write_all(&held).await;
        let _ = to.shutdown().await;
        Ok(())
    }

    /// Hands one message on, or does to it what a trap says. True when it was the last of its direction.
    async fn pass<R, W>(
        &self,
        way: Way,
        frame: Frame,
        frames: &mut Frames<'_, R>,
        to: &mut W,
    ) -> Result<bool, End>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        self.linger().await;
        let sprung = self.spring(way, &frame);
        let bytes = frame.bytes;
        let Some((trap, fault)) = sprung else {
            let _ = to.write_all(&bytes).await;
            return Ok(false);
        };
        let now = match fault {
            Fault::Hold | Fault::Delay(_) | Fault::Blackhole => 0,
            Fault::HoldAfter(count) | Fault::Cut(count) | Fault::Reset(count) => {
                count.min(bytes.len())
            }
            Fault::HoldAnswer | Fault::HalfClose => bytes.len(),
        };
        let _ = to.write_all(&bytes[..now]).await;
        match fault {
            Fault::Cut(_) => return Err(End::Closed),
            Fault::Reset(_) => return Err(End::Reset),
            Fault::HalfClose => {
                let _ = to.shutdown().await;
                frames.swallow().await;
                return Ok(true);
            }
            Fault::HoldAnswer => {}
            Fault::Delay(time) => {
                let released = self.shared.when(|state| state.traps[trap].released);
                let _ = timeout(time, released).await;
            }
            Fault::Hold | Fault::HoldAfter(_) | Fault::Blackhole => {
                self.hold(way, trap, &bytes[now..], frames).await?;
            }
        }
        let _ = to.write_all(&bytes[now..]).await;
        self.shared
            .change(|state| state.traps[trap].delivered = true);
        Ok(false)
    }

    /// Waits as long as all messages have to.
    async fn linger(&self) {
        let latency = self.shared.look(|state| state.latency);
        if !latency.is_zero() {
            let _ = timeout(latency, pending::<()>()).await;
        }
        self.shared.when(|state| !state.is_black(self.number)).await;
    }

    fn spring(&self, way: Way, frame: &Frame) -> Option<(usize, Fault)> {
        let first = self.first.get().map_or(&[][..], Vec::as_slice);
        let sprung = self
            .shared
            .tally(|state| state.spring(self.number, way, frame, first));
        if sprung.is_some() {
            // Whoever waits for a trap on this connection looks again.
            self.shared.change(|_| ());
        }
        sprung
    }

    /// Waits for the release. A client whose message is held may end meanwhile; its bytes do not.
    async fn hold<R: AsyncRead + Unpin>(
        &self,
        way: Way,
        trap: usize,
        rest: &[u8],
        frames: &mut Frames<'_, R>,
    ) -> Result<(), End> {
        if way == Way::ToServer {
            self.shared
                .change(|state| state.traps[trap].rest = rest.to_vec());
        }
        let gone = async {
            if way == Way::ToClient {
                return pending().await;
            }
            frames.swallow().await;
        };
        tokio::select! {
            () = self.shared.when(|state| state.traps[trap].released) => Ok(()),
            () = gone => {
                let further = frames.rest();
                self.shared.change(|state| state.traps[trap].rest.extend(further));
                Err(End::ClientGone(trap))
            }
        }
    }

    /// The server's side of a connection without a client: gets what was held once it is released, and may talk.
    async fn outlive(&self, trap: usize, mut server: TcpStream) {
        self.shared
            .change(|state| state.traps[trap].client_gone = true);
        self.shared.when(|state| state.traps[trap].released).await;
        let rest = self
            .shared
            .change(|state| std::mem::take(&mut state.traps[trap].rest));
        let _ = server.write_all(&rest).await;
        self.shared
            .change(|state| state.traps[trap].delivered = true);
        let (from, _to) = server.split();
        let mut frames = Frames::new(from, Way::ToClient, &self.talk);
        while let Some(frame) = frames.next().await {
            self.note_answer(trap, &frame);
        }
        self.shared
            .change(|state| state.traps[trap].answered = true);
    }

    fn note_answer(&self, trap: usize, frame: &Frame) {
        let last = frame.kind.is_none_or(|kind| kind == b'Z');
        self.shared.change(|state| {
            let trap = &mut state.traps[trap];
            trap.answer.extend(&frame.bytes);
            trap.answered |= last;
        });
    }
}
