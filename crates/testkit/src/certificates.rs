//! A certificate authority of one test.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

use crate::names::{scratch, unique};

/// Signs certificates, whose files live as long as it.
pub struct Authority {
    files: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, as PEM files of its authority.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The certificate of the authority that signed it.
    pub ca: PathBuf,
}

impl Authority {
    /// One that nobody trusts unless told to.
    ///
    /// # Panics
    /// When the temporary directory cannot be written.
    pub fn create() -> Self {
        let files = scratch();
        let mut params = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key can be made");
        let own = params.self_signed(&key).expect("a certificate can be made");
        fs::write(files.path().join("ca.pem"), own.pem()).expect("the directory is writable");
        Self {
            files,
            issuer: Issuer::new(params, key),
        }
    }

    /// The file of its own certificate (PEM).
    pub fn ca(&self) -> PathBuf {
        self.path().join("ca.pem")
    }

    /// Signs a certificate for `name`, a host's name or address.
    ///
    /// # Panics
    /// When `name` is neither, or the directory cannot be written.
    pub fn sign(&self, name: &str) -> Signed {
        let mut params = named("signed");
        params.subject_alt_names = CertificateParams::new([name.to_owned()])
            .expect("a name or an address")
            .subject_alt_names;
        let key = KeyPair::generate().expect("a key can be made");
        let signed = params
            .signed_by(&key, &self.issuer)
            .expect("a certificate can be signed");
        let stem = self.path().join(unique("signed"));
        let of = Signed {
            cert: stem.with_extension("pem"),
            key: stem.with_extension("key"),
            ca: self.ca(),
        };
        fs::write(&of.cert, signed.pem()).expect("the directory is writable");
        fs::write(&of.key, key.serialize_pem()).expect("the directory is writable");
        of
    }

    fn path(&self) -> &Path {
        self.files.path()
    }
}

/// Names of their own: verifiers tell authorities apart by them.
fn named(what: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, unique(what));
    params
}
