//! The one place where the driver's errors become [`StoreError`]s, and where operations get their time limits.
//!
//! The server's error texts repeat what a command held: filters, key values, whole documents. Only the numbers and names of
//! them are passed on, so that no log can hold a message's text.

use std::future::{Future, IntoFuture};
use std::time::Duration;

use mongodb::error::{Error, ErrorKind, RETRYABLE_ERROR, RETRYABLE_WRITE_ERROR, WriteFailure};
use tokio::time::Instant;

use crate::storage::StoreError;

/// The error code of a unique index that already holds the key.
pub(super) const DUPLICATE_KEY: i32 = 11000;

/// The error code of a document that the validator of its collection refuses.
pub(super) const INVALID_DOCUMENT: i32 = 121;

/// What the text of a refused login begins with.
pub(super) const LOGIN_REFUSED: &str = "the login was refused: ";

/// Server error codes after which the same operation can succeed later.
const RETRYABLE: [i32; 26] = [
    6,     // HostUnreachable
    7,     // HostNotFound
    24,    // LockTimeout
    43,    // CursorNotFound: the server that held it is gone
    50,    // MaxTimeMSExpired
    64,    // WriteConcernFailed
    89,    // NetworkTimeout
    91,    // ShutdownInProgress
    100,   // UnsatisfiableWriteConcern: too few members, for now
    112,   // WriteConflict
    134,   // ReadConcernMajorityNotAvailableYet
    175,   // QueryPlanKilled
    189,   // PrimarySteppedDown
    202,   // NetworkInterfaceExceededTimeLimit
    237,   // CursorKilled
    262,   // ExceededTimeLimit
    9001,  // SocketException
    10058, // NotPrimary, of old servers
    10107, // NotWritablePrimary
    11600, // InterruptedAtShutdown
    11601, // Interrupted
    11602, // InterruptedDueToReplStateChange
    13388, // StaleConfig
    13435, // NotPrimaryNoSecondaryOk
    13436, // NotPrimaryOrSecondary
    14031, // OutOfDiskSpace
];

/// Whether trying again later can help, for an error code of the server.
pub(super) fn is_retryable(code: i32) -> bool {
    RETRYABLE.contains(&code)
}

/// Turns the driver's error into the store's.
pub(super) fn store_error(error: &Error) -> StoreError {
    let text = describe(error);
    let code = match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    };
    if code == Some(INVALID_DOCUMENT) {
        return StoreError::Validator.counted();
    }
    let kind_is_retryable = matches!(
        error.kind.as_ref(),
        ErrorKind::Io(_)
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::DnsResolve { .. }
            | ErrorKind::Shutdown
            | ErrorKind::Write(WriteFailure::WriteConcernError(_))
    );
    let label_is_retryable = error.contains_label(RETRYABLE_WRITE_ERROR) || error.contains_label(RETRYABLE_ERROR);
    if kind_is_retryable || label_is_retryable || code.is_some_and(is_retryable) {
        StoreError::Unavailable(text).counted()
    } else {
        StoreError::Failed(text).counted()
    }
}

fn describe(error: &Error) -> String {
    match error.kind.as_ref() {
        // These speak of hosts, and never of queries or of users.
        ErrorKind::ServerSelection { message, .. } => unreachable_hosts(message),
        kind @ (ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::Shutdown
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::IncompatibleServer { .. }) => kind.to_string(),
        kind @ ErrorKind::Authentication { .. } => format!("{LOGIN_REFUSED}{kind}"),
        ErrorKind::Command(command) => format!("server error {} ({})", command.code, command.code_name),
        ErrorKind::Write(WriteFailure::WriteError(write)) => write_error(write.code, &write.message),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
            format!(
                "the write is not durable: error {} ({})",
                concern.code, concern.code_name
            )
        }
        ErrorKind::InsertMany(_) => "an insert failed".into(),
        ErrorKind::InvalidArgument { .. } => "the driver refused an argument".into(),
        _ => "the server's answer can't be understood".into(),
    }
}

/// Names each host and what is wrong with it, from the driver's account of the deployment: "… Servers: [ { Address: HOST,
/// Type: Unknown, Error: Kind: REASON, labels: … }, … ] }". Without an error in it the whole account is the better answer.
fn unreachable_hosts(account: &str) -> String {
    let host = |part: &str| {
        let (address, rest) = part.split_once(',')?;
        let (_, reason) = rest.split_once("Error: Kind: ")?;
        let reason = reason.split(", labels:").next()?;
        Some(format!("{address}: {reason}"))
    };
    let hosts: Option<Vec<String>> = account.split("Address: ").skip(1).map(host).collect();
    match hosts {
        Some(hosts) if !hosts.is_empty() => format!("no primary can be reached ({})", hosts.join("; ")),
        _ => account.to_owned(),
    }
}

/// Describes the failure of one write by its code and, for a duplicate key, the index.
pub(super) fn write_error(code: i32, message: &str) -> String {
    // "E11000 duplicate key error collection: db.coll index: NAME dup key: { … }": what follows is data.
    match index_of(message) {
        Some(index) if code == DUPLICATE_KEY => format!("duplicate key in index {index}"),
        _ => format!("write error {code}"),
    }
}

/// The index that the server's message of a duplicate key names.
pub(super) fn index_of(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once(" index: ")?;
    rest.split(' ').next()
}

/// The index that the server's message of a duplicate key names, unless it is `own` or that of `_id`, by which what is stored
/// twice is found.
pub(super) fn foreign_index<'a>(message: &'a str, own: &str) -> Option<&'a str> {
    index_of(message).filter(|index| !["_id_", own].contains(index))
}

/// Waits for an operation of the driver for at most `limit`.
pub(super) async fn bounded<T>(
    what: &str,
    limit: Duration,
    operation: impl IntoFuture<Output = Result<T, Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, operation).await {
        Ok(done) => done.map_err(|error| store_error(&error)),
        Err(_) => Err(timed_out(what, limit)),
    }
}

/// The error for an operation that took too long.
pub(super) fn timed_out(what: &str, limit: Duration) -> StoreError {
    StoreError::Unavailable(format!("{what}: no answer within {} ms", limit.as_millis()))
}

/// Makes attempts, each bounded in itself, until one succeeds or fails for good, or `deadline` has passed.
pub(super) async fn retrying<T, F>(deadline: Instant, mut attempt: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut backoff = Backoff::default();
    loop {
        match attempt().await {
            Err(StoreError::Unavailable(_)) if Instant::now() < deadline => backoff.wait().await,
            done => return done,
        }
    }
}

/// Growing pauses between attempts: 50 ms, then twice the last one, at most a second.
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(Duration::from_millis(50))
    }
}

impl Backoff {
    /// Waits.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Duration::from_secs(1));
    }
}
