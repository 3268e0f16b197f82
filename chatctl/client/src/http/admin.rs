//! What administrators do: building inboxes anew, shutting users out, looking at and ending connections.

use std::net::IpAddr;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::UserId;
use shared::admin::{self, BanUser, Disconnected, LogLevel, SetLogLevel, UserAccess, UserConnections};
use shared::diagnosis::Diagnosis;
use shared::trace::Trace;

use super::{Bearer, Building, Http};
use crate::ClientError;

/// The part of the server's readiness, and of the answer to a rebuild, that is about inboxes.
#[derive(Debug, Deserialize)]
struct Inboxes {
    inbox: Building,
}

/// Where the server at a loopback address serves administration by itself: without TLS, which nobody there could read.
pub(super) fn place_beside(url: &str) -> Option<String> {
    let mut place = Url::parse(url).ok()?;
    let host = place.host_str()?;
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    if host != "localhost" && !address.is_ok_and(|address| address.is_loopback()) {
        return None;
    }
    let port = admin::port_beside(place.port_or_known_default()?);
    place.set_scheme("http").ok()?;
    place.set_host(Some("127.0.0.1")).ok()?;
    place.set_port(Some(port)).ok()?;
    Some(place.as_str().trim_end_matches('/').to_owned())
}

impl Http {
    /// Where administration is served.
    fn administration(&self) -> Self {
        Self {
            url: self.admin_url.clone(),
            setting: "CHAT_ADMIN_URL",
            ..self.clone()
        }
    }

    /// Begins to build all inboxes anew.
    pub fn rebuild(&self) -> Result<Building, ClientError> {
        let http = self.administration();
        let answer: Inboxes =
            http.with_retries(|| http.read(http.post(Bearer::Admin, "/admin/rebuild", &json!({}))?))?;
        Ok(answer.inbox)
    }

    /// Refuses all tokens of a user that were made before now, and ends the user's connections. Answered when a new token is good.
    pub fn revoke(&self, user: UserId) -> Result<UserAccess, ClientError> {
        self.change(user, "revoke", &json!({}))
    }

    /// Shuts a user out, and ends the user's connections.
    pub fn ban(&self, user: UserId, ban: &BanUser) -> Result<UserAccess, ClientError> {
        self.change(user, "ban", ban)
    }

    /// Lifts the ban of a user.
    pub fn unban(&self, user: UserId) -> Result<UserAccess, ClientError> {
        self.change(user, "unban", &json!({}))
    }

    fn change(&self, user: UserId, what: &str, body: &impl Serialize) -> Result<UserAccess, ClientError> {
        let path = format!("/admin/users/{user}/{what}");
        let http = self.administration();
        http.with_retries(|| http.read(http.post(Bearer::Admin, &path, body)?))
    }

    /// The connections of a user to this server.
    pub fn connections(&self, user: UserId) -> Result<UserConnections, ClientError> {
        self.administration()
            .get(Bearer::Admin, &format!("/admin/users/{user}/connections"), &[])
    }

    /// Ends a connection to this server, by its id.
    pub fn disconnect(&self, id: &str) -> Result<Disconnected, ClientError> {
        let http = self.administration();
        let mut address = Url::parse(&http.url).map_err(|error| http.not_the_server(error.to_string()))?;
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop_if_empty().extend(["admin", "connections", id]);
        }
        let ended = || http.transport.client().delete(address.clone());
        http.with_retries(|| http.read(http.send(ended().headers(http.authorization(Bearer::Admin)))?))
    }

    /// What this server logs.
    pub fn log_level(&self) -> Result<LogLevel, ClientError> {
        self.administration().get(Bearer::Admin, "/admin/log-level", &[])
    }

    /// Has this server log by another filter.
    pub fn set_log_level(&self, level: &SetLogLevel) -> Result<LogLevel, ClientError> {
        let http = self.administration();
        let address = format!("{}/admin/log-level", http.url);
        let put = || http.transport.client().put(&address).json(level);
        http.with_retries(|| http.read(http.send(put().headers(http.authorization(Bearer::Admin)))?))
    }

    /// How the server stands.
    pub fn diagnosis(&self) -> Result<Diagnosis, ClientError> {
        self.administration().get(Bearer::Admin, "/admin/doctor", &[])
    }

    /// What became of a message, by its id or its `clientMessageId`.
    pub fn trace(&self, name: &str) -> Result<Trace, ClientError> {
        let http = self.administration();
        let mut address = Url::parse(&http.url).map_err(|error| http.not_the_server(error.to_string()))?;
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop_if_empty().extend(["admin", "trace", name]);
        }
        let asked = || http.transport.client().get(address.clone());
        http.with_retries(|| http.read(http.send(asked().headers(http.authorization(Bearer::Admin)))?))
    }

    /// The page of metrics, in the text format of Prometheus.
    pub fn metrics(&self) -> Result<String, ClientError> {
        let http = self.administration();
        let answer = http.checked(http.get_anonymously(&format!("{}/metrics", http.url))?)?;
        let body = http.transport.wait(|| answer.text());
        body.map_err(|error| http.unreachable(&error))
    }

    /// Where administration is served.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// How far the inboxes are built. A server that is not ready otherwise tells it all the same.
    pub fn building(&self) -> Result<Building, ClientError> {
        let answer: Inboxes = self.decode(self.request_get(Bearer::Admin, "/readyz", &[])?)?;
        Ok(answer.inbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administration_of_this_machine_is_beside_the_server() {
        for (url, place) in [
            ("http://127.0.0.1:5000", "http://127.0.0.1:5100"),
            ("https://localhost:5000/api", "http://127.0.0.1:5100/api"),
            ("http://[::1]:65535", "http://127.0.0.1:65435"),
            ("http://localhost", "http://127.0.0.1:180"),
        ] {
            assert_eq!(place_beside(url).as_deref(), Some(place), "{url}");
        }
        for url in [
            "http://chat.example:5000",
            "https://10.0.0.1",
            "http://localhost.example",
        ] {
            assert_eq!(place_beside(url), None, "{url}");
        }
    }
}
