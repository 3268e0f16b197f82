//! What to do about a deployment that can't be used: queries its servers for what they are, and says what to run or write.

use std::time::Duration;

use bson::{Document, doc};
use futures_util::future::join_all;
use mongodb::Client;
use mongodb::options::{ClientOptions, ServerAddress, Tls, TlsOptions};

use super::error::LOGIN_REFUSED;
use super::names::DEFAULT_DATABASE;
use crate::storage::StoreError;

/// How long the servers may take to say what they are.
const HELLO_TIMEOUT: Duration = Duration::from_secs(1);
/// Most servers that are queried.
const MAX_SERVERS: usize = 3;
/// As [`super::error`] describes it.
const UNAUTHORIZED: &str = "server error 13 ";

/// Why no primary of this deployment can be used, if a server of it answers.
pub(super) async fn on_servers(uri: &str) -> Option<String> {
    let options = tokio::time::timeout(HELLO_TIMEOUT, ClientOptions::parse(uri))
        .await
        .ok()?
        .ok()?;
    // At once: there is little time left.
    let (answers, otherwise) = tokio::join!(ask(&options), on_tls(&options));
    let advice = |(host, answer): &(ServerAddress, Document)| on_hello(&options, host, answer);
    match answers.is_empty() {
        true => otherwise,
        false => answers.iter().find_map(advice),
    }
}

/// What the servers that answer say of themselves.
async fn ask(options: &ClientOptions) -> Vec<(ServerAddress, Document)> {
    let hosts = options.hosts.iter().take(MAX_SERVERS).cloned();
    let answers = join_all(hosts.map(|host| hello(options, host))).await;
    answers.into_iter().flatten().collect()
}

/// For when no server answers: whether one does with TLS, or without it.
async fn on_tls(options: &ClientOptions) -> Option<String> {
    let mut other = options.clone();
    let is_asked = matches!(options.tls, Some(Tls::Enabled(_)));
    other.tls = Some(match is_asked {
        true => Tls::Disabled,
        // Whose certificate it is does not matter here: nothing secret is sent.
        false => Tls::Enabled(TlsOptions::builder().allow_invalid_certificates(true).build()),
    });
    let (host, _) = ask(&other).await.into_iter().next()?;
    Some(match is_asked {
        true => {
            format!("{host} answers without TLS only; remove tls=true or ssl=true from MONGO_URI, or write tls=false")
        }
        false => format!(
            "{host} answers with TLS only; add tls=true to MONGO_URI, and tlsCAFile=… if its certificate is your own"
        ),
    })
}

/// What one server says of itself. It needs no login for this.
async fn hello(options: &ClientOptions, host: ServerAddress) -> Option<(ServerAddress, Document)> {
    let mut options = options.clone();
    options.hosts = vec![host.clone()];
    options.direct_connection = Some(true);
    options.repl_set_name = None;
    options.credential = None;
    options.load_balanced = None;
    options.server_selection_timeout = Some(HELLO_TIMEOUT);
    options.connect_timeout = Some(HELLO_TIMEOUT);
    let client = Client::with_options(options).ok()?;
    let admin = client.database("admin");
    let answered = tokio::time::timeout(HELLO_TIMEOUT, admin.run_command(doc! { "hello": 1 })).await;
    client.shutdown().immediate(true).await;
    Some((host, answered.ok()?.ok()?))
}

fn on_hello(options: &ClientOptions, host: &ServerAddress, hello: &Document) -> Option<String> {
    let wanted = options.repl_set_name.as_deref();
    let is = |field: &str| hello.get_bool(field).unwrap_or(false);
    let Ok(set) = hello.get_str("setName") else {
        if is("isreplicaset") {
            return Some(format!(
                "the replica set of {host} is not initiated; run once: mongosh {host}/admin --eval 'rs.initiate()'"
            ));
        }
        return wanted.map(|wanted| {
            format!(
                "{host} is in no replica set, and MONGO_URI asks for the set {wanted}; remove replicaSet={wanted} from \
                 MONGO_URI, or start mongod with --replSet {wanted}"
            )
        });
    };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != set) {
        return Some(format!(
            "the replica set of {host} is called {set}, and MONGO_URI asks for {wanted}; write replicaSet={set}"
        ));
    }
    let members: Vec<&str> = hello
        .get_array("hosts")
        .map(|hosts| hosts.iter().filter_map(|host| host.as_str()).collect())
        .unwrap_or_default();
    let members = members.join(", ");
    match hello.get_str("primary") {
        Ok(primary) if options.direct_connection == Some(true) && !is("isWritablePrimary") => Some(format!(
            "{host} takes no writes, the primary of {set} is {primary}; remove directConnection=true from MONGO_URI"
        )),
        Ok(primary) => Some(format!(
            "{host} answers, but the primary of {set} can't be reached as {primary}, and it lists its members as \
             {members}; make these names known to this machine, or add directConnection=true to MONGO_URI"
        )),
        Err(_) => Some(format!(
            "the replica set {set} has no primary; have most of its members running ({members}), and see what each of \
             them does: mongosh {host}/admin --eval 'rs.status()'"
        )),
    }
}

/// Adds to an error of a login what may be the reason: MongoDB says only that it failed.
pub(super) async fn on_login(uri: &str, database: Option<&str>, error: StoreError) -> StoreError {
    let StoreError::Failed(text) = &error else { return error };
    let (refused, forbidden) = (text.starts_with(LOGIN_REFUSED), text.contains(UNAUTHORIZED));
    if !refused && !forbidden {
        return error;
    }
    let Ok(options) = ClientOptions::parse(uri).await else {
        return error;
    };
    let database = database.or(options.default_database.as_deref());
    let Some(login) = &options.credential else {
        let database = database.unwrap_or(DEFAULT_DATABASE);
        return StoreError::Failed(format!(
            "{text}: MongoDB asks for a login; write mongodb://USER:PASSWORD@HOST/{database}?authSource=admin"
        ));
    };
    let next = if uri.contains('?') { '&' } else { '?' };
    let says_where = uri.to_ascii_lowercase().contains("authsource=");
    let hint = match (refused, login.source.as_deref(), says_where) {
        (true, Some(source), true) => format!(
            "the user was looked for in the database {source}, which authSource names; check name and password, and \
             where the user was created"
        ),
        (true, source, _) => format!(
            "the user was looked for in the database {}; if it was created in another one, say so: add \
             {next}authSource=admin to MONGO_URI, most users are there; otherwise check name and password",
            source.or(database).unwrap_or("admin")
        ),
        (false, ..) => format!(
            "the user has no right to do this; give it the role readWrite on the database {}",
            database.unwrap_or(DEFAULT_DATABASE)
        ),
    };
    StoreError::Failed(format!("{}: {hint}", text.trim_end_matches('.')))
}
