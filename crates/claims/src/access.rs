//! How servers may be reached, beside their URL: certificates, and whether in the clear.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::connect::{self, Pong};
use crate::port::{Claims, ClaimsError};

/// How servers may be reached, beside their URL. The default: TLS by the system's certificates, and in the clear
/// only on this machine.
///
/// Files are read anew for each connection, since certificates are exchanged while processes run.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The certificates (PEM) that servers' are checked against, in place of the system's.
    pub ca: Option<PathBuf>,
    /// What this side shows to servers that ask for a certificate.
    pub identity: Option<Identity>,
    /// Whether servers on other machines may be spoken to without TLS.
    pub plaintext: bool,
}

/// A client's certificate with its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The file of the certificate, followed by those that signed it (PEM).
    pub cert: PathBuf,
    /// The file of its private key (PEM).
    pub key: PathBuf,
}

impl Access {
    /// As [`crate::connect`], by this access.
    ///
    /// # Errors
    /// When the URL is not understood, when it leads to another machine in the clear and that is not allowed, or when
    /// a file of certificates is not there or holds none.
    pub fn connect(
        &self,
        url: &str,
        fleet: &str,
        ttl: Duration,
    ) -> Result<Arc<dyn Claims>, ClaimsError> {
        connect::connect_by(self, url, fleet, ttl)
    }

    /// As [`crate::ping`], by this access.
    ///
    /// # Errors
    /// As [`Access::connect`]; also when there is no answer in time, or another one than Redis gives.
    pub async fn ping(&self, url: &str, patience: Duration) -> Result<Pong, ClaimsError> {
        connect::ping_by(self, url, patience).await
    }

    /// A client of the server at an address.
    ///
    /// # Errors
    /// What is wrong with the address or with a file, for an operator.
    pub(crate) fn client(&self, info: ConnectionInfo) -> Result<Client, String> {
        self.allow(info.addr())?;
        let client = match info.addr() {
            ConnectionAddr::TcpTls { .. } => Client::build_with_tls(info, self.certificates()?),
            _ => Client::open(info),
        };
        client.map_err(|error| error.to_string())
    }

    /// # Errors
    /// When the address is on another machine and TLS is not spoken there.
    pub(crate) fn allow(&self, addr: &ConnectionAddr) -> Result<(), String> {
        match addr {
            ConnectionAddr::Tcp(host, _) if !self.plaintext && !is_this_machine(host) => {
                Err(format!(
                    "refused: locks, wake-ups and the password would go to {host} in the clear; use rediss:// (TLS, a \
                     private authority's certificate by claims.ca), or set [claims] plaintext = true where that network \
                     is nobody else's"
                ))
            }
            _ => Ok(()),
        }
    }

    fn certificates(&self) -> Result<TlsCertificates, String> {
        let root_cert = self.ca.as_deref().map(authorities).transpose()?;
        let client_tls = self.identity.as_ref().map(Identity::read).transpose()?;
        Ok(TlsCertificates {
            client_tls,
            root_cert,
        })
    }
}

impl Identity {
    fn read(&self) -> Result<ClientTlsConfig, String> {
        let (client_cert, client_key) = (read("cert", &self.cert)?, read("key", &self.key)?);
        certificates("cert", &self.cert, &client_cert)?;
        // The parser's words could quote the file.
        PrivateKeyDer::from_pem_slice(&client_key).map_err(|_| {
            let shown = self.key.display();
            format!("claims.key {shown} holds no private key (PEM, without a passphrase)")
        })?;
        Ok(ClientTlsConfig {
            client_cert,
            client_key,
        })
    }
}

fn authorities(file: &Path) -> Result<Vec<u8>, String> {
    let pem = read("ca", file)?;
    let mut store = RootCertStore::empty();
    for certificate in certificates("ca", file, &pem)? {
        store.add(certificate).map_err(|error| {
            let shown = file.display();
            format!("claims.ca {shown} holds a certificate that cannot be used: {error}")
        })?;
    }
    Ok(pem)
}

/// The certificates of a file, one at least.
fn certificates(
    key: &str,
    file: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(format!(
            "claims.{key} {} holds no certificate (PEM)",
            file.display()
        )),
    }
}

fn read(key: &str, file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file)
        .map_err(|error| format!("claims.{key} {} cannot be read: {error}", file.display()))
}

/// Whether what is sent to a host stays on this machine.
fn is_this_machine(host: &str) -> bool {
    let address: Result<std::net::IpAddr, _> = host.parse();
    match address {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_machine() {
        for host in [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "::ffff:127.0.0.1",
            "LOCALHOST",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "redis",
            "10.0.0.1",
            "128.0.0.1",
            "::2",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn the_clear_is_refused_elsewhere_unless_it_is_wanted() {
        let there = ConnectionAddr::Tcp("redis".into(), 6379);
        let here = ConnectionAddr::Tcp("localhost".into(), 6379);
        let said = Access::default().allow(&there).unwrap_err();
        for words in ["go to redis in the clear", "rediss://", "plaintext = true"] {
            assert!(said.contains(words), "{said}");
        }
        Access::default().allow(&here).unwrap();
        let wanted = Access {
            plaintext: true,
            ..Access::default()
        };
        wanted.allow(&there).unwrap();
        let socket = ConnectionAddr::Unix("/run/redis.sock".into());
        Access::default().allow(&socket).unwrap();
    }

    #[test]
    fn files_that_hold_something_else_are_named() {
        let access = |ca: &str| Access {
            ca: Some(ca.into()),
            ..Access::default()
        };
        let said = access("/nowhere/ca.pem").certificates().unwrap_err();
        assert!(said.contains("claims.ca /nowhere/ca.pem cannot be read"));
        // This file is there, and no certificate.
        let said = access(file!().rsplit_once("crates/claims/").unwrap().1)
            .certificates()
            .unwrap_err();
        assert!(said.contains("holds no certificate (PEM)"), "{said}");
    }
}
