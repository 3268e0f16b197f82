//! The server's HTTP interface. Calls block; a token is signed afresh for each one.

use std::io::{BufReader, Read};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::conversation::Inbox;
pub use shared::diagnosis::InboxFacts as Building;
use shared::error::ErrorBody;
use shared::limits::MAX_PAGE;
use shared::{Message, MessageId, Role, UserId, WireError};

use super::ClientError;
use super::cause::{Cause, cause};
use super::token::{NOBODY, Secret};
use super::transport::{Body, CONNECT_TIMEOUT, Transport};
use super::waiting::Waiting;

mod admin;
mod users;

/// How long the token of one request holds: long enough for a slow server, and for clocks that differ a little.
const TOKEN_LIFETIME: Duration = Duration::from_secs(300);
/// How often a request is tried that the server was too busy for.
const MAX_TRIES: u32 = 4;

/// A client of one server.
#[derive(Debug, Clone)]
pub struct Http {
    transport: Transport,
    url: String,
    /// What says that.
    setting: &'static str,
    /// Where administration is served.
    admin_url: String,
    secret: Arc<Secret>,
    /// Told if the database keeps a request waiting.
    waiting: Option<Waiting>,
}

/// In whose name a request is made.
#[derive(Debug, Clone, Copy)]
pub enum Bearer {
    /// An administrator.
    Admin,
    /// This user.
    User(UserId),
}

/// Which messages of a conversation to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The newest so many, at most [`MAX_PAGE`].
    Newest(usize),
    /// So many, at most [`MAX_PAGE`], directly before this one.
    Before(MessageId, usize),
}

/// The part of the server's readiness that is about its database.
#[derive(Debug, Deserialize)]
struct Readiness {
    store: StoreState,
}

#[derive(Debug, Deserialize)]
struct StoreState {
    reachable: bool,
}

impl Page {
    fn query(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Newest(limit) => vec![("limit", limit.to_string())],
            Self::Before(id, limit) => vec![("limit", limit.to_string()), ("before", id.to_string())],
        }
    }
}

impl Http {
    /// A client of the server at `url`, without a slash at its end. Nothing is sent yet. Administration is looked for where a server
    /// of this machine serves it unless it is told otherwise; of one elsewhere it is at `url`.
    pub fn new(url: String, secret: Arc<Secret>) -> Self {
        Self {
            transport: Transport::new(),
            setting: "CHAT_URL",
            admin_url: admin::place_beside(&url).unwrap_or_else(|| url.clone()),
            url,
            secret,
            waiting: None,
        }
    }

    /// The same, with administration at another address.
    pub fn administered_at(self, admin_url: String) -> Self {
        Self { admin_url, ..self }
    }

    /// The same, which calls `tell` once if a request takes long because the server's database does not answer.
    pub fn with_notice(self, tell: fn()) -> Self {
        Self {
            waiting: Some(Waiting::new(tell, false)),
            ..self
        }
    }

    /// The same, under a line of the caller's that shows how it goes.
    pub fn with_notice_above(self, tell: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            waiting: Some(Waiting::new(tell, true)),
            ..self
        }
    }

    /// The same, which tells nobody.
    pub fn without_notice(self) -> Self {
        Self { waiting: None, ..self }
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What signs the tokens.
    pub fn secret(&self) -> &Arc<Secret> {
        &self.secret
    }

    /// A page of at most `limit` conversations of a user, the one with the newest message first.
    pub fn conversations(&self, of: UserId, cursor: Option<&str>, limit: usize) -> Result<Inbox, ClientError> {
        let mut query = vec![("limit", limit.min(MAX_PAGE).to_string())];
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        self.get(Bearer::User(of), "/chat/conversations", &query)
    }

    /// Whether the server answers and says that its database does not. Waits no longer than `limit`.
    pub fn lacks_database(&self, limit: Duration) -> bool {
        let request = self.transport.client().get(format!("{}/readyz", self.url));
        let readiness = self.transport.wait(move || async move {
            let answer = request.timeout(limit).send().await;
            answer.ok()?.json().await.ok()
        });
        readiness.is_some_and(|Readiness { store }| !store.reachable)
    }

    /// Messages of a conversation, oldest first.
    pub fn history(&self, by: Bearer, a: UserId, b: UserId, page: Page) -> Result<Vec<Message>, ClientError> {
        self.get(by, &format!("/chat/history/{a}/{b}"), &page.query())
    }

    /// The newest `count` messages of a conversation, oldest first, fetched in as many pages as that takes.
    pub fn newest(&self, by: Bearer, a: UserId, b: UserId, count: usize) -> Result<Vec<Message>, ClientError> {
        let mut messages = self.history(by, a, b, Page::Newest(count.min(MAX_PAGE)))?;
        let mut full = messages.len() == MAX_PAGE;
        while full && messages.len() < count {
            let size = MAX_PAGE.min(count - messages.len());
            let mut older = self.history(by, a, b, Page::Before(messages[0].id, size))?;
            full = older.len() == MAX_PAGE;
            older.append(&mut messages);
            messages = older;
        }
        Ok(messages)
    }

    /// The body of a whole conversation's history, an array as long as that conversation.
    pub fn history_body(&self, by: Bearer, a: UserId, b: UserId) -> Result<impl Read + use<>, ClientError> {
        let path = format!("/chat/history/{a}/{b}");
        let response = self.with_retries(|| self.checked(self.request_get(by, &path, &[])?))?;
        Ok(BufReader::new(Body::new(self.transport.clone(), response)))
    }

    /// The answer to a `GET` of any path, asked again while the server says that it is worth it.
    pub fn get<T: DeserializeOwned>(&self, by: Bearer, path: &str, query: &[(&str, String)]) -> Result<T, ClientError> {
        self.with_retries(|| self.read(self.request_get(by, path, query)?))
    }

    fn request_get(&self, by: Bearer, path: &str, query: &[(&str, String)]) -> Result<Response, ClientError> {
        let request = self.transport.client().get(format!("{}{path}", self.url));
        self.send(request.query(query).headers(self.authorization(by)))
    }

    /// The answer at any address, asked for in nobody's name.
    pub(super) fn get_anonymously(&self, address: &str) -> Result<Response, ClientError> {
        self.send(self.transport.client().get(address))
    }

    /// What is told at an address, if it is of this kind.
    pub(super) fn optional<T: DeserializeOwned>(&self, address: &str) -> Result<Option<T>, ClientError> {
        let answer = self.get_anonymously(address)?;
        Ok(self.decode(answer).ok())
    }

    fn post(&self, by: Bearer, path: &str, body: &impl Serialize) -> Result<Response, ClientError> {
        let request = self.transport.client().post(format!("{}{path}", self.url));
        self.send(request.headers(self.authorization(by)).json(body))
    }

    fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let answer = self.transport.wait(|| request.send());
        answer.map_err(|error| self.unreachable(&error))
    }

    /// Takes the place of a name and a password in the address.
    fn authorization(&self, by: Bearer) -> HeaderMap {
        let (user, role) = match by {
            Bearer::Admin => (NOBODY, Some(Role::Admin)),
            Bearer::User(id) => (id, None),
        };
        let token = self.secret.sign(user, role, TOKEN_LIFETIME).0;
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).expect("a token is letters and digits");
        bearer.set_sensitive(true);
        HeaderMap::from_iter([(AUTHORIZATION, bearer)])
    }

    /// Asks again while the server says that it is worth it.
    #[expect(
        clippy::disallowed_methods,
        reason = "a command at a terminal has nothing else to do until then"
    )]
    pub(super) fn with_retries<T>(&self, mut ask: impl FnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
        let _watched = self.waiting.as_ref().map(|waiting| {
            let http = self.clone();
            waiting.watch(self.url.clone(), move |limit| http.lacks_database(limit))
        });
        let mut tries = 1;
        loop {
            match ask() {
                Err(ClientError::Answered(WireError {
                    retry_after_ms: Some(pause),
                    ..
                })) if tries < MAX_TRIES => thread::sleep(Duration::from_millis(pause.min(5_000))),
                answer => return answer,
            }
            tries += 1;
        }
    }

    fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        self.decode(self.checked(response)?)
    }

    fn decode<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let body = self.transport.wait(|| response.bytes());
        let body = body.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&body).map_err(|error| self.not_the_server(error.to_string()))
    }

    fn checked(&self, response: Response) -> Result<Response, ClientError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        match self.decode::<ErrorBody>(response) {
            Ok(body) if status == 401 => Err(self.unauthorized(Some(body.error))),
            Err(_) if status == 401 => Err(self.unauthorized(None)),
            Ok(body) => Err(body.error.into()),
            Err(_) => Err(self.not_the_server(format!("status {status}"))),
        }
    }

    /// What to say when the server refuses our token, for this reason.
    pub fn unauthorized(&self, reason: Option<WireError>) -> ClientError {
        ClientError::Unauthorized {
            url: self.url.clone(),
            reason: reason.map_or_else(String::new, |reason| format!(" ({reason})")),
            origin: self.secret.origin().to_owned(),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        let (url, setting) = (self.url.clone(), self.setting);
        match cause(error) {
            _ if error.is_timeout() && error.is_connect() => ClientError::Unreachable {
                url,
                reason: format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs()),
                setting,
            },
            _ if error.is_timeout() => ClientError::Silent { url },
            Cause::Tls(reason) => ClientError::Insecure { url, reason },
            Cause::Other(reason) => ClientError::Unreachable { url, reason, setting },
        }
    }

    /// What to say when an answer is not one of the chat server.
    pub fn not_the_server(&self, what: String) -> ClientError {
        ClientError::NotTheServer {
            url: self.url.clone(),
            what,
            setting: self.setting,
        }
    }
}
