//! From a connection string to a database, with errors that never repeat what may be secret in it.

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bson::doc;
use mongodb::error::ErrorKind;
use mongodb::event::EventHandler;
use mongodb::options::{
    Acknowledgment, ClientOptions, DatabaseOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Database};
use tokio::time::Instant;

use super::advice;
use super::connection_string::{check, hosts};
use super::connections::Connections;
use super::error::{Backoff, bounded, store_error, timed_out};
use super::names::DEFAULT_DATABASE;
use crate::storage::StoreError;

/// How long opening may take until the deployment has answered. Building indexes comes on top.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(8);
/// How long an operation waits for a primary, unless the connection string says otherwise.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the driver waits for a connection, also when it watches the servers, likewise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A deployment that does not answer at the start is reported after this time.
const REPORT_DELAY: Duration = Duration::from_secs(1);
/// Most connections of each client to one server, likewise. The one that inserts uses as many as there are lanes.
const MAX_CONNECTIONS: u32 = 32;

/// The database, by two clients of the driver.
pub(super) struct Connected {
    pub(super) database: Database,
    /// By a client that does not repeat a write by itself. For that the database would note beside each document which
    /// statement of which session wrote it, which makes inserting messages a tenth dearer. This server repeats them anyway,
    /// for longer than the driver does.
    pub(super) inserts: Database,
    /// The connections that both clients make.
    pub(super) connections: Arc<Connections>,
}

impl Connected {
    /// Ends both clients, at once whatever they do.
    pub(super) async fn shut_down(&self) {
        let end = |database: &Database| database.client().clone().shutdown().immediate(true).into_future();
        tokio::join!(end(&self.database), end(&self.inserts));
    }
}

/// Makes the clients, and waits for the deployment to answer.
pub(super) async fn open(uri: &str, database: Option<&str>) -> Result<Connected, StoreError> {
    let connecting = async {
        let deadline = Instant::now() + OPEN_TIMEOUT;
        let connecting = tokio::time::timeout_at(deadline, connect(uri, database)).await;
        // Looking up the hosts took so long.
        let connected = connecting.map_err(|_| timed_out("connecting", OPEN_TIMEOUT))??;
        wait_for_primary(uri, &connected, deadline).await?;
        Ok(connected)
    };
    report_wait(uri, connecting).await
}

/// Waits for a deployment. If that takes long, logs it, and again when it has succeeded.
async fn report_wait<T, E>(uri: &str, connecting: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let begun = Instant::now();
    let mut connecting = pin!(connecting);
    if let Ok(done) = tokio::time::timeout(REPORT_DELAY, connecting.as_mut()).await {
        return done;
    }
    tracing::warn!(hosts = hosts(uri), patience = ?OPEN_TIMEOUT, "connect: waiting for MongoDB");
    let done = connecting.await;
    if done.is_ok() {
        tracing::info!(waited = ?begun.elapsed(), "connect: the wait for MongoDB is over");
    }
    done
}

/// Makes the clients. Does not wait for a server, unless the hosts must be looked up (`mongodb+srv`).
async fn connect(uri: &str, database: Option<&str>) -> Result<Connected, StoreError> {
    check(uri).await.map_err(StoreError::Failed)?;
    let mut options = ClientOptions::parse(uri).await.map_err(|error| unparsed(uri, &error))?;
    options.app_name.get_or_insert_with(|| "chat-server".into());
    options.server_selection_timeout.get_or_insert(SELECTION_TIMEOUT);
    options.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
    options.max_pool_size.get_or_insert(MAX_CONNECTIONS);
    let name = database
        .or(options.default_database.as_deref())
        .unwrap_or(DEFAULT_DATABASE)
        .to_owned();
    let connections = Arc::new(Connections::default());
    let (counting, electing) = (Arc::clone(&connections), Arc::clone(&connections));
    // A callback is run at once, not in a task.
    options.cmap_event_handler = Some(EventHandler::callback(move |event| counting.count(&event)));
    let mut inserts = options.clone();
    inserts.retry_writes = Some(false);
    // By the client that reads.
    options.sdam_event_handler = Some(EventHandler::callback(move |event| electing.count_elections(&event)));
    // Whatever the string says: nothing counts as written before a majority has it on disk. And nothing is read that a
    // majority does not have: what a failover takes back was never shown. A caller reads its own acknowledged writes, from
    // the primary.
    let guarantees = DatabaseOptions::builder()
        .write_concern(durable())
        .read_concern(ReadConcern::majority())
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build();
    let connect = |options| {
        let client = Client::with_options(options).map_err(|error| store_error(&error))?;
        Ok::<_, StoreError>(client.database_with_options(&name, guarantees.clone()))
    };
    Ok(Connected {
        database: connect(options)?,
        inserts: connect(inserts)?,
        connections,
    })
}

/// Why there are no options: with `mongodb+srv` the name leads to the hosts by DNS.
fn unparsed(uri: &str, error: &mongodb::error::Error) -> StoreError {
    match error.kind.as_ref() {
        ErrorKind::DnsResolve { .. } => StoreError::Unavailable(format!(
            "the hosts of {} can't be looked up (DNS has no SRV record for it, or does not answer); check the name, or write \
             mongodb:// with the hosts themselves",
            hosts(uri)
        )),
        _ => store_error(error),
    }
}

/// Waits until a primary answers to both clients that it takes writes; until `deadline`, even if the driver gives up sooner.
async fn wait_for_primary(uri: &str, connected: &Connected, deadline: Instant) -> Result<(), StoreError> {
    let mut backoff = Backoff::default();
    let mut reason = None;
    let answered = async {
        loop {
            // Both, so that the first message need not wait for a connection.
            let both = async {
                tokio::try_join!(
                    ping(&connected.database, OPEN_TIMEOUT),
                    ping(&connected.inserts, OPEN_TIMEOUT)
                )
            };
            match both.await {
                Ok(_) => return Ok(()),
                Err(error @ StoreError::Unavailable(_)) => {
                    let advice = advice::on_servers(uri).await;
                    reason = Some(advice.map_or(error, StoreError::Unavailable));
                }
                Err(error) => return Err(error),
            }
            backoff.wait().await;
        }
    };
    match tokio::time::timeout_at(deadline, answered).await {
        Ok(done) => done,
        // What to do, or else the driver's own words: they name the servers, and what each of them answers.
        Err(_) => Err(reason.unwrap_or_else(|| timed_out("connecting", OPEN_TIMEOUT))),
    }
}

/// Succeeds if a primary answers that it takes writes.
pub(super) async fn ping(database: &Database, limit: Duration) -> Result<(), StoreError> {
    let hello = bounded(
        "asking for the primary",
        limit,
        database.run_command(doc! { "hello": 1 }),
    )
    .await?;
    match hello.get_bool("isWritablePrimary") {
        Ok(true) => Ok(()),
        _ => Err(StoreError::Unavailable(
            "the server is not a primary that takes writes".into(),
        )),
    }
}

/// On the disks of a majority, or an error in less time than [`WRITE_TIMEOUT`](super::timeouts::WRITE_TIMEOUT).
pub(super) fn durable() -> WriteConcern {
    WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .w_timeout(Duration::from_secs(5))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn faults_are_named_without_secrets() {
        for (uri, part) in [
            ("localhost", "should read"),
            ("http://u:s3cret@host/db", "unsupported connection string scheme: http"),
            ("mongodb://u:s3cret@host:port/db", "the port must be"),
            ("mongodb://u:s3cret@/db", "host"),
            (
                "mongodb://u:s3cret@host/db?ssl=s3cret",
                "one of its options is wrong: ssl",
            ),
            (
                "mongodb://u:s3cret@host/?tls=maybe&w=1",
                "one of its options is wrong: tls",
            ),
            ("mongodb://u:s3cret", "the port must be"),
            ("mongodb://u:s3c@ret:db", "the port must be"),
            ("mongodb+srv://u:s3cret", "a # ends a value"),
            ("mongodb://h/s3c ret", "the name of its database"),
            ("mongodb://u:s3c/ret@host/db", "percent-encoded"),
            ("mongodb://u:s3c%ret@host/db", "percent-encoded"),
            ("mongodb://u:s3c@ret@host/db", "percent-encoded"),
        ] {
            let Err(StoreError::Failed(text)) = connect(uri, None).await else {
                panic!("{uri} was accepted");
            };
            assert!(text.contains(part), "{uri}: {text}");
            assert!(!text.contains("s3c") && !text.contains("ret@"), "{uri}: {text}");
        }
    }

    #[tokio::test]
    async fn chooses_the_database() {
        for (uri, explicit, expected) in [
            ("mongodb://127.0.0.1:1", None, "realtime_chat"),
            ("mongodb://127.0.0.1:1/", None, "realtime_chat"),
            ("mongodb://127.0.0.1:1/named?w=1", None, "named"),
            ("mongodb://127.0.0.1:1/named", Some("given"), "given"),
        ] {
            let connected = connect(uri, explicit).await.unwrap();
            assert_eq!(connected.database.name(), expected);
            assert_eq!(connected.inserts.name(), expected);
            connected.shut_down().await;
        }
    }
}
