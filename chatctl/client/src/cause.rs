//! Why a request failed, dug out of the HTTP client's errors.

use std::error::Error;
use std::io;

use rustls::{CertificateError, InvalidMessage};

use super::transport::LeavesTls;

/// Why a request failed, in the words of whoever noticed it first.
pub(super) enum Cause {
    /// The connection is not safe.
    Tls(String),
    /// Anything else.
    Other(String),
}

/// The innermost reason: the library's own texts say only what it did.
pub(super) fn cause(error: &(dyn Error + 'static)) -> Cause {
    let mut innermost = error;
    loop {
        // An error of the system that wraps another one does not name it as its source.
        let wrapped = innermost.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let next = wrapped
            .map(|error| error as &(dyn Error + 'static))
            .or(innermost.source());
        let Some(next) = next else { break };
        innermost = next;
    }
    if let Some(error) = innermost.downcast_ref::<LeavesTls>() {
        return Cause::Tls(error.to_string());
    }
    match innermost.downcast_ref() {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            Cause::Tls("what answers there speaks no TLS; write http:// if that is meant".to_owned())
        }
        Some(error @ rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Cause::Tls(format!(
            "{error}; SSL_CERT_FILE can name a file with the certificate of the authority that signed it"
        )),
        // The library has no variant of its own for this one.
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            Cause::Tls(
                "it shows the certificate of an authority as its own; give it one that the authority signed, or that was \
                 made with basicConstraints=CA:FALSE"
                    .to_owned(),
            )
        }
        Some(error) => Cause::Tls(error.to_string()),
        None => Cause::Other(innermost.to_string()),
    }
}
