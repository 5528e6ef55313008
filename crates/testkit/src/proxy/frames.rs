//! Bytes cut into messages.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::message::Way;

/// The request codes of start-up packets that the server answers with one byte: TLS and GSS encryption.
const ASKS: [u32; 2] = [80_877_103, 80_877_104];

/// What the bytes of a connection mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Postgres,
    Raw,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// PostgreSQL's type of the message, where it has one.
    pub(super) kind: Option<u8>,
    pub(super) bytes: Vec<u8>,
}

/// How far the two sides of a PostgreSQL connection have come with their start.
#[derive(Debug)]
pub(super) struct Talk {
    protocol: Protocol,
    started: AtomicBool,
    /// Answers of one byte that the server owes.
    owed: AtomicUsize,
}

impl Talk {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            started: AtomicBool::new(false),
            owed: AtomicUsize::new(0),
        }
    }

    /// Takes the first message off `buffer` if it is there whole.
    fn cut(&self, way: Way, buffer: &mut Vec<u8>) -> Option<Frame> {
        if buffer.is_empty() {
            return None;
        }
        if self.protocol == Protocol::Raw {
            return Some(untyped(std::mem::take(buffer)));
        }
        if way == Way::ToClient && self.owed.load(Ordering::SeqCst) > 0 {
            self.owed.fetch_sub(1, Ordering::SeqCst);
            return Some(untyped(take(buffer, 1)));
        }
        let typed = way == Way::ToClient || self.started.load(Ordering::SeqCst);
        let before = usize::from(typed);
        let length = number(buffer.get(before..before + 4)?)? as usize;
        let whole = before + length;
        if buffer.len() < whole {
            return None;
        }
        let bytes = take(buffer, whole);
        if typed {
            return Some(Frame {
                kind: bytes.first().copied(),
                bytes,
            });
        }
        // Start-up packets have no type.
        if bytes
            .get(4..8)
            .and_then(number)
            .is_some_and(|code| ASKS.contains(&code))
        {
            self.owed.fetch_add(1, Ordering::SeqCst);
        } else {
            self.started.store(true, Ordering::SeqCst);
        }
        Some(untyped(bytes))
    }
}

fn untyped(bytes: Vec<u8>) -> Frame {
    Frame { kind: None, bytes }
}

fn take(buffer: &mut Vec<u8>, length: usize) -> Vec<u8> {
    let rest = buffer.split_off(length);
    std::mem::replace(buffer, rest)
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// Reads messages; a read that is given up loses nothing.
pub(super) struct Frames<'a, R> {
    from: R,
    way: Way,
    talk: &'a Talk,
    buffer: Vec<u8>,
}

impl<'a, R: AsyncRead + Unpin> Frames<'a, R> {
    pub(super) fn new(from: R, way: Way, talk: &'a Talk) -> Self {
        Self {
            from,
            way,
            talk,
            buffer: Vec::new(),
        }
    }

    /// The next message; none at the end. Half a message before the end is one too.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.talk.cut(self.way, &mut self.buffer) {
                return Some(frame);
            }
            if self.fill().await.unwrap_or(0) == 0 {
                let rest = self.rest();
                return (!rest.is_empty()).then(|| untyped(rest));
            }
        }
    }

    /// Reads on without cutting, until the end.
    pub(super) async fn swallow(&mut self) {
        while self.fill().await.unwrap_or(0) > 0 {}
    }

    /// What has been read and not cut.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.from.read_buf(&mut self.buffer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: Option<u8>, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        kind.into_iter()
            .chain(length)
            .chain(body.iter().copied())
            .collect()
    }

    #[test]
    fn a_session_is_cut_into_its_messages() {
        let talk = Talk::new(Protocol::Postgres);
        let asks = packet(None, &80_877_103_u32.to_be_bytes());
        let starts = packet(None, b"\0\x03\0\0user\0x\0");
        let query = packet(Some(b'Q'), b"SELECT 1\0");
        let mut sent = [asks.clone(), starts.clone(), query.clone()].concat();
        let mut seen = Vec::new();
        while let Some(frame) = talk.cut(Way::ToServer, &mut sent) {
            seen.push((frame.kind, frame.bytes));
        }
        assert_eq!(seen, [(None, asks), (None, starts), (Some(b'Q'), query)]);

        let mut answered = [vec![b'N'], packet(Some(b'Z'), b"I")].concat();
        let refusal = talk.cut(Way::ToClient, &mut answered).unwrap();
        assert_eq!(refusal.bytes, b"N");
        assert_eq!(
            talk.cut(Way::ToClient, &mut answered).unwrap().kind,
            Some(b'Z')
        );
    }

    #[test]
    fn half_a_message_is_waited_for() {
        let talk = Talk::new(Protocol::Postgres);
        let whole = packet(Some(b'Z'), b"I");
        for length in 0..whole.len() {
            let mut half = whole[..length].to_vec();
            assert_eq!(talk.cut(Way::ToClient, &mut half), None);
            assert_eq!(half.len(), length);
        }
    }
}
