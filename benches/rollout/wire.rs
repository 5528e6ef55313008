//! A connection to PostgreSQL that does next to nothing: what a floor costs, no client library adds to.

use std::io::{Read, Write};
use std::net::TcpStream;

use url::Url;

/// One session that speaks the simple protocol.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    /// Connects to a server that trusts, as `postgres://user@host:port/database` says.
    pub(crate) fn connect(url: &str) -> Self {
        let url = Url::parse(url).unwrap();
        let address = (url.host_str().unwrap(), url.port().unwrap_or(5432));
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut wire = Self {
            stream,
            buffer: Vec::new(),
        };
        let database = url.path().trim_start_matches('/');
        let mut start = 196_608_u32.to_be_bytes().to_vec();
        for word in ["user", url.username(), "database", database, ""] {
            start.extend_from_slice(word.as_bytes());
            start.push(0);
        }
        wire.send(None, &start);
        wire.answer();
        wire
    }

    /// Sends one message and waits for the whole answer: the rows, columns joined by `|`.
    pub(crate) fn ask(&mut self, sql: &str) -> Vec<String> {
        let mut text = sql.as_bytes().to_vec();
        text.push(0);
        self.send(Some(b'Q'), &text);
        self.answer()
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).unwrap();
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(body);
        self.stream.write_all(&message).unwrap();
    }

    fn answer(&mut self) -> Vec<String> {
        let mut rows = Vec::new();
        loop {
            let (kind, body) = self.message();
            match kind {
                b'Z' => return rows,
                b'D' => rows.push(row(&body)),
                b'E' => panic!("the server: {}", String::from_utf8_lossy(&body)),
                _ => {}
            }
        }
    }

    fn message(&mut self) -> (u8, Vec<u8>) {
        loop {
            if let Some(head) = self.buffer.get(..5) {
                let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
                if self.buffer.len() > length {
                    let rest = self.buffer.split_off(length + 1);
                    let message = std::mem::replace(&mut self.buffer, rest);
                    return (message[0], message[5..].to_vec());
                }
            }
            let mut chunk = [0; 16_384];
            let read = self.stream.read(&mut chunk).unwrap();
            assert!(read > 0, "the server closed the connection");
            self.buffer.extend_from_slice(&chunk[..read]);
        }
    }
}

fn row(body: &[u8]) -> String {
    let mut columns = Vec::new();
    let mut rest = &body[2..];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        columns.push(String::from_utf8_lossy(&after[..length]).into_owned());
        rest = &after[length..];
    }
    columns.join("|")
}
