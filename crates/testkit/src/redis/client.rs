//! Plain commands through `redis-cli`: a second opinion, and the question whether a server is there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::certificates::Signed;
use crate::spawn::{on_path, required};

/// How `redis-cli` reaches one server.
pub(super) struct Client(Vec<String>);

impl Client {
    pub(super) fn at(url: &str) -> Self {
        Self(vec!["-u".to_owned(), url.to_owned()])
    }

    /// A server of this machine, which may ask for the certificate that it shows itself.
    pub(super) fn of(port: u16, certificate: Option<&Signed>) -> Self {
        let mut words = vec!["-p".to_owned(), port.to_string()];
        if let Some(Signed { cert, key, ca }) = certificate {
            words.push("--tls".to_owned());
            for (flag, file) in [("--cert", cert), ("--key", key), ("--cacert", ca)] {
                words.extend([flag.to_owned(), file.display().to_string()]);
            }
        }
        Self(words)
    }

    /// What one command prints; what it complains about when it fails.
    pub(super) fn run(&self, words: &[&str]) -> Result<String, String> {
        let client = on_path("redis-cli")
            .or_else(|| on_path("valkey-cli"))
            .unwrap_or_else(|| required("redis-cli", "redis-tools"));
        let output = Command::new(client)
            .arg("-e")
            .args(&self.0)
            .args(words)
            .stdin(Stdio::null())
            .output()
            .expect("redis-cli can be started");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match output.status.success() {
            true => Ok(said),
            false => Err(format!(
                "{said} {}",
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }
}

/// Whether a server answers on a port. Any answer will do: one that asks for a password is an answer too.
pub(super) fn answers(port: u16, certificate: Option<&Signed>) -> bool {
    if certificate.is_some() {
        return Client::of(port, certificate).run(&["PING"]).is_ok();
    }
    let answer = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        Ok(matches!(first, [b'+' | b'-']))
    };
    answer().unwrap_or(false)
}
