//! `[claims]`: where locks and wake-ups are, and how to get there.

use std::path::Path;
use std::time::Duration;

use sanderling_claims::{Access, Identity};

use super::build::LEAST_LEASE;
use super::model::ClaimsSettings;
use super::reader::{Reader, path};
use super::url;

const SCHEMES: [&str; 6] = [
    "memory",
    "redis",
    "rediss",
    "redis+unix",
    "redis+sentinel",
    "rediss+sentinel",
];

/// The section.
pub(super) fn read(reader: &mut Reader<'_>, base: &Path) -> ClaimsSettings {
    let url = url::read(
        reader,
        &path("claims.url"),
        Some("memory://"),
        &SCHEMES,
        base,
    );
    let mut file = |key: &str| {
        let key = path(&format!("claims.{key}"));
        // A scheme inside a reference that is not set is not known yet.
        let in_the_clear = url
            .scheme()
            .is_some_and(|scheme| !scheme.starts_with("rediss"));
        if in_the_clear && reader.has(&key) {
            reader.problem(
                &key,
                "is for TLS, which claims.url does not ask for: it begins with rediss:// or rediss+sentinel://",
            );
        }
        reader.text(&key).map(|file| base.join(file))
    };
    let (ca, cert, key) = (file("ca"), file("cert"), file("key"));
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some(Identity { cert, key }),
        (Some(_), None) => {
            reader.problem(
                &path("claims.cert"),
                "needs `key`, the file of its private key",
            );
            None
        }
        (None, Some(_)) => {
            reader.problem(
                &path("claims.key"),
                "needs `cert`, the certificate that it belongs to",
            );
            None
        }
        (None, None) => None,
    };
    let plaintext = reader.flag(&path("claims.plaintext")).unwrap_or(false);
    let ttl = reader.duration(&path("claims.ttl"), LEAST_LEASE);
    ClaimsSettings {
        url,
        access: Access {
            ca,
            identity,
            plaintext,
        },
        ttl: ttl.unwrap_or(Duration::from_secs(30)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{more, problem};

    #[test]
    fn certificates_are_beside_the_file_and_nothing_is_in_the_clear_by_itself() {
        let claims = more(
            "[claims]\nurl = 'rediss+sentinel://a,b/main'\nca = 'tls/ca.pem'\ncert = 'c.pem'\nkey = '/etc/k.pem'\n",
        )
        .claims;
        assert!(claims.access.ca.as_ref().unwrap().is_absolute());
        assert!(claims.access.ca.unwrap().ends_with("tls/ca.pem"));
        assert_eq!(
            claims.access.identity.unwrap().key,
            std::path::Path::new("/etc/k.pem")
        );
        assert!(!claims.access.plaintext);
        assert!(
            more("[claims]\nurl = 'redis://r'\nplaintext = true\n")
                .claims
                .access
                .plaintext
        );
    }

    #[test]
    fn what_would_have_no_effect_is_refused() {
        for (text, says) in [
            ("url = 'redis://r'\nca = 'ca.pem'", "claims.ca: is for TLS"),
            ("ca = 'ca.pem'", "claims.ca: is for TLS"),
            (
                "url = 'rediss://r'\ncert = 'c.pem'",
                "claims.cert: needs `key`",
            ),
            (
                "url = 'rediss://r'\nkey = 'k.pem'",
                "claims.key: needs `cert`",
            ),
            (
                "url = 'redis://r'\nplaintext = 'yes'",
                "claims.plaintext: must be",
            ),
            (
                "url = 'redis+cluster://r'",
                "redis+cluster:// is not supported",
            ),
        ] {
            let said = problem(&format!("[claims]\n{text}\n"));
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
