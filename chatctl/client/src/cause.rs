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
        // As `openssl req -x509` makes one unless it is told otherwise; the library has no name for it that can be matched.
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(error)))
            if error.to_string() == "CaUsedAsEndEntity" =>
        {
            let what = "the certificate is one of an authority, which stands for no server";
            Cause::Tls(format!(
                "{what}; `openssl req -x509` makes a server's with -addext basicConstraints=CA:FALSE"
            ))
        }
        Some(error) => Cause::Tls(error.to_string()),
        None => Cause::Other(innermost.to_string()),
    }
}
