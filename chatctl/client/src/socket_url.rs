//! Where Socket.IO listens: below the server's address, unless a setting of the server (`SOCKET_PATH`) says otherwise. Then the
//! server tells it where it tells what it is.

use http::Uri;
use serde::Deserialize;

use super::ClientError;
use super::http::Http;

/// What `GET /` tells of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    socket_io: String,
}

impl Http {
    /// The address at which Socket.IO listens, with a slash at its end.
    ///
    /// # Errors
    /// If the server can't be asked, or names a place where nothing listens.
    pub fn socket_url(&self) -> Result<String, ClientError> {
        self.with_retries(|| {
            let usual = format!("{}/socket.io/", self.url());
            if self.listens(&usual) {
                return Ok(usual);
            }
            let Some(About { socket_io }) = self.optional(&format!("{}/", self.url()))? else {
                // A server that tells nothing of itself; what connects will hear what is wrong.
                return Ok(usual);
            };
            for address in candidates(self.url(), &socket_io) {
                if self.listens(&address) {
                    return Ok(address);
                }
            }
            Err(self.not_the_server(format!("nothing listens at {socket_io}, where Socket.IO should be")))
        })
    }

    /// Whether there is anything but "not found"; what else is wrong is told by whoever connects. A request without a
    /// transport opens no session.
    fn listens(&self, address: &str) -> bool {
        let answer = self.get_anonymously(&format!("{address}?EIO=4"));
        answer.map_or(true, |answer| answer.status() != 404)
    }
}

/// Where a path may be that the server tells: a proxy may have taken off the path of the server's address, or not.
fn candidates(url: &str, path: &str) -> Vec<String> {
    let uri: Option<Uri> = url.parse().ok();
    let origin = uri.and_then(|uri| Some(format!("{}://{}", uri.scheme()?, uri.authority()?)));
    let mut candidates: Vec<String> = origin.iter().map(|origin| format!("{origin}{path}")).collect();
    candidates.push(format!("{url}{path}"));
    candidates.dedup();
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_looked_for_from_the_host_and_below_the_address() {
        assert_eq!(candidates("http://h:1", "/s/"), ["http://h:1/s/"]);
        assert_eq!(candidates("http://h/api", "/s/"), ["http://h/s/", "http://h/api/s/"]);
    }
}
