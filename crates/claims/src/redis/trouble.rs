//! Why there was no good answer, in words for an operator.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use rustls::{AlertDescription, CertificateError};

/// How a call came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No answer in time: the costly one, so the server is left alone for the longest pause.
    Silent,
    /// No connection, or one that broke.
    Broken,
    /// An answer, but an error: it comes at once, so that asking again costs nothing.
    Refused,
}

/// A failure with what is to be said of it. Not yet cleaned of passwords.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    pub(super) said: String,
}

impl Trouble {
    /// No server, or none that is of use.
    pub(super) fn broken(said: impl Into<String>) -> Self {
        let said = said.into();
        Self {
            failure: Failure::Broken,
            said,
        }
    }

    /// No answer in time.
    pub(super) fn silent(patience: std::time::Duration) -> Self {
        Self {
            failure: Failure::Silent,
            said: format!("no answer within {patience:?}"),
        }
    }

    /// The same, seen from further away.
    pub(super) fn seen(self, from: impl fmt::Display) -> Self {
        Self {
            said: format!("{from}: {}", self.said),
            ..self
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        let failure = if error.is_timeout() {
            Failure::Silent
        } else if error.is_io_error() {
            Failure::Broken
        } else {
            Failure::Refused
        };
        let said = match tls(&error).and_then(of_tls).or(of_server(error.kind())) {
            Some(way_out) => format!("{error}; {way_out}"),
            None if failure == Failure::Silent => "no answer in time".to_owned(),
            None => error.to_string(),
        };
        Self { failure, said }
    }
}

/// What to do about an error of the server's own.
fn of_server(kind: ErrorKind) -> Option<&'static str> {
    use ServerErrorKind::{Ask, ClusterDown, CrossSlot, Moved, ReadOnly};
    match kind {
        ErrorKind::Server(Moved | Ask | CrossSlot | ClusterDown) => Some(
            "this is a node of a Redis Cluster, which is not supported: name a server of its own, or sentinels",
        ),
        ErrorKind::Server(ReadOnly) => Some(
            "this server is a replica: name its master, or the sentinels, which follow a failover",
        ),
        _ => None,
    }
}

/// What to do about an error of TLS.
fn of_tls(error: &rustls::Error) -> Option<&'static str> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Some(
            "nobody who is trusted here signed the server's certificate: name the PEM file of the authority that did in claims.ca",
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Some(
            "name the server as its certificate does, in claims.url or in what the sentinels announce",
        ),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::HandshakeFailure,
        ) => Some(
            "the server wants to see a certificate that it trusts: name the PEM files in claims.cert and claims.key",
        ),
        rustls::Error::InvalidMessage(_) => {
            Some("what answers there speaks no TLS: is it the server's TLS port?")
        }
        _ => None,
    }
}

/// The error of TLS inside, if it is one.
fn tls(error: &RedisError) -> Option<&rustls::Error> {
    let inner: &Arc<dyn Error + Send + Sync> = error.source()?.downcast_ref()?;
    let io: &std::io::Error = inner.downcast_ref()?;
    io.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(error: rustls::Error) -> Trouble {
        RedisError::from(std::io::Error::other(error)).into()
    }

    #[test]
    fn an_unknown_authority_is_told_from_other_trouble_with_tls() {
        let unknown = trouble(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer,
        ));
        assert!(unknown.said.contains("claims.ca"), "{unknown}");
        assert_eq!(unknown.failure, Failure::Broken);
        let wanted = trouble(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired,
        ));
        assert!(wanted.said.contains("claims.cert"), "{wanted}");
        let other = trouble(rustls::Error::DecryptError);
        assert!(!other.said.contains("claims."), "{other}");
    }

    #[test]
    fn a_time_out_is_silence() {
        let late = RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        assert_eq!(Trouble::from(late).failure, Failure::Silent);
    }
}
