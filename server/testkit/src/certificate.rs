//! Certificates of an authority that nobody knows, for servers that speak TLS on this machine.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SerialNumber};
use tempfile::TempDir;

/// An authority that signs certificates for 127.0.0.1.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    own: Issued,
    folder: TempDir,
}

/// A certificate and its key, both in PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Issued {
    /// Writes both into a folder, as `tls.crt` and `tls.key`, and returns their paths.
    pub fn write(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        std::fs::write(&certificate, &self.certificate).expect("a file can be written");
        std::fs::write(&key, &self.key).expect("a file can be written");
        (certificate, key)
    }
}

impl Authority {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("keys can be made");
        let mut params = CertificateParams::default();
        // Without a name of its own its certificates would look as if they had signed themselves.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("the authority signs itself").pem();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::write(folder.path().join("authority.pem"), &pem).expect("a file can be written");
        Self {
            own: Issued {
                certificate: pem,
                key: key.serialize_pem(),
            },
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    /// The file with its own certificate, for clients that are to trust it.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Its own certificate and key, which a server should not show.
    pub fn own(&self) -> &Issued {
        &self.own
    }

    /// A certificate with this serial number.
    pub fn issue(&self, serial: u64) -> Issued {
        self.sign(|params| params.serial_number = Some(SerialNumber::from(serial)))
    }

    /// A certificate that ends then.
    pub fn issue_until(&self, end: SystemTime) -> Issued {
        self.sign(|params| params.not_after = end.into())
    }

    fn sign(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().expect("keys can be made");
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("the name is one");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs");
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}
