//! Which message, and what becomes of it.

use std::time::Duration;

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

/// Says which message is meant: the first that fits, or a later one.
#[derive(Clone, Debug)]
pub struct Message {
    pub(super) way: Way,
    holds: Vec<Vec<u8>>,
    client: Vec<u8>,
    pub(super) nth: usize,
}

impl Message {
    /// A message from a client.
    pub fn to_server() -> Self {
        Self::going(Way::ToServer)
    }

    /// A message from the server.
    pub fn to_client() -> Self {
        Self::going(Way::ToClient)
    }

    fn going(way: Way) -> Self {
        Self {
            way,
            holds: Vec::new(),
            client: Vec::new(),
            nth: 1,
        }
    }

    /// Only one that has these bytes in it; called again, both.
    #[must_use]
    pub fn containing(mut self, text: impl AsRef<[u8]>) -> Self {
        self.holds.push(text.as_ref().to_vec());
        self
    }

    /// Only on a connection whose first message has these bytes in it: PostgreSQL's start-up packet tells user,
    /// database and application.
    #[must_use]
    pub fn of_client(mut self, text: impl AsRef<[u8]>) -> Self {
        self.client = text.as_ref().to_vec();
        self
    }

    /// Not the first that fits, but the `n`th, counted from 1 over all connections from when the trap was set.
    #[must_use]
    pub fn nth(mut self, n: usize) -> Self {
        self.nth = n;
        self
    }

    pub(super) fn fits(&self, way: Way, bytes: &[u8], first: &[u8]) -> bool {
        self.way == way
            && contains(first, &self.client)
            && self.holds.iter().all(|held| contains(bytes, held))
    }
}

/// What is done to a message that was caught. What is held stays so until [`super::Trap::release`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The message is held whole.
    Hold,
    /// Its first bytes pass, as many as said; the others are held.
    HoldAfter(usize),
    /// It passes; what the server answers is held. For messages to the server.
    HoldAnswer,
    /// It waits for so long, or until it is released.
    Delay(Duration),
    /// Its first bytes pass, then both sides are closed (FIN).
    Cut(usize),
    /// Its first bytes pass, then both sides are reset (RST).
    Reset(usize),
    /// It passes and is the last of its direction: its receiver sees an end of file. The other direction goes on.
    HalfClose,
    /// It and everything after it is held, in both directions of this connection.
    Blackhole,
}

pub(super) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_fits_when_all_that_was_said_holds() {
        let meant = Message::to_server()
            .containing("INSERT")
            .containing("t1")
            .of_client("worker");
        assert!(meant.fits(Way::ToServer, b"INSERT INTO t1", b"a worker's"));
        assert!(!meant.fits(Way::ToClient, b"INSERT INTO t1", b"a worker's"));
        assert!(!meant.fits(Way::ToServer, b"INSERT INTO t2", b"a worker's"));
        assert!(!meant.fits(Way::ToServer, b"INSERT INTO t1", b"psql"));
        assert!(Message::to_client().fits(Way::ToClient, b"", b""));
    }
}
