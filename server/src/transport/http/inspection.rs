//! `/admin/doctor` and `/admin/trace`: what an administrator asks who looks for what is wrong, or for what became of a message.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use jwt::Provider;
use jwt::settings::KeySetSource;
use shared::diagnosis::{Diagnosis, FileFacts, TokenFacts};
use shared::trace::{StoredMessage, Trace, TraceStep};
use shared::{MessageId, Timestamp};

use super::extract::{self, Admin};
use super::health;
use crate::clock;
use crate::config::Switch;
use crate::delivery::client::ConnectionId;
use crate::domain::{Position, Watermark};
use crate::error::HttpError;
use crate::message_trace::Record;
use crate::storage::{MessageName, StoreError};
use crate::telemetry;
use crate::transport::context::Context;

/// How long the store is waited for: who asks wants to hear that it does not answer.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// Most steps in an answer.
const MAX_STEPS: usize = 1_000;

/// `GET /admin/doctor`.
pub async fn doctor(State(context): State<Arc<Context>>, _: Admin) -> Json<Diagnosis> {
    let reachable = context.store_check.reachable(&context.store).await;
    let facts = within(context.store.facts()).await;
    let (store, store_error) = match facts {
        Ok(facts) => (Some(facts), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Json(Diagnosis {
        node: context.node.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now: clock::now(),
        stopping: context.supervisor.stopping().is_cancelled(),
        store_reachable: reachable,
        store,
        store_error,
        inbox: health::inbox(&context),
        files: files(),
        max_connections: context.config.limits.max_connections,
        lost_log_lines: telemetry::lost_lines(),
        risky_settings: risky(&context),
        tokens: tokens(&context),
    })
}

async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let done = tokio::time::timeout(STORE_TIMEOUT, work).await;
    done.unwrap_or_else(|_| Err(StoreError::no_answer_within(STORE_TIMEOUT)))
}

/// How many files and connections the process may have open, and has where the system tells it.
fn files() -> FileFacts {
    let limit = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    let open = std::fs::read_dir("/proc/self/fd")
        .ok()
        .map(|files| files.count() as u64);
    FileFacts { open, limit }
}

/// Settings that are for development or a migration, and are on.
fn risky(context: &Context) -> Vec<String> {
    let config = &context.config;
    let settings = [
        (config.legacy_open_history, "LEGACY_OPEN_HISTORY=true"),
        (config.allow_query_token, "ALLOW_QUERY_TOKEN=true"),
        (config.limits.rate_limits == Switch::Off, "RATE_LIMITS=off"),
        (config.accept_loss, "ACCEPT_LOSS=true"),
    ];
    let on = settings.iter().filter(|(is_on, _)| *is_on);
    on.map(|(_, name)| (*name).to_owned()).collect()
}

fn tokens(context: &Context) -> TokenFacts {
    let settings = &context.config.tokens.keys;
    let keys = context.verifier.keys();
    TokenFacts {
        own_keys: keys.own.len() as u32,
        provider: settings.jwt_jwks_url.as_ref().map(|source| match source {
            KeySetSource::Url(url) => without_password(url.as_str()),
            KeySetSource::File(path) => path.display().to_string(),
        }),
        provider_keys: match &keys.provider {
            Provider::Keys(set) => Some(set.keys.len() as u32),
            Provider::None | Provider::Unknown => None,
        },
        must_end: settings.jwt_require_exp,
    }
}

/// An address without the name and the password that it may have.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let host = rest[..end].rsplit('@').next().unwrap_or_default();
            let path = rest[end..].split(['?', '#']).next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => "no address".to_owned(),
    }
}

/// `GET /admin/trace/{id}`: by the id of a message or by its `clientMessageId`.
pub async fn trace(
    State(context): State<Arc<Context>>,
    path: Result<Path<String>, PathRejection>,
    _: Admin,
) -> Result<Json<Trace>, HttpError> {
    let name = extract::path(path)?;
    let asked = name.parse::<MessageId>().ok();
    let wanted = asked.map_or_else(|| MessageName::Client(name.clone()), MessageName::Id);
    let found = within(context.store.find(&wanted)).await;
    let ring = &context.chat.dispatcher.trace;
    let known = found
        .as_ref()
        .ok()
        .and_then(|found| found.as_ref().map(|message| message.id));
    let message_id = known.or(asked).or_else(|| ring.by_client_id(&name));
    let (records, more) = message_id.map_or((Vec::new(), false), |id| ring.of(id, MAX_STEPS));
    let stored = match found {
        Ok(Some(message)) => within(stored(&context, &message)).await.map(Some),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    let (stored, store_error) = match stored {
        Ok(stored) => (stored, None),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(Json(Trace {
        node: context.node.to_string(),
        message_id,
        steps: records.iter().map(|record| step(&context, record)).collect(),
        more,
        remembers_since: ring.remembers_since(),
        stored,
        store_error,
    }))
}

fn step(context: &Context, record: &Record) -> TraceStep {
    use shared::trace::TraceEvent as Event;
    let is_of_connection = matches!(
        record.event,
        Event::Sent | Event::SentToSender | Event::Dropped | Event::NotConnected
    );
    let connection = ConnectionId::of_number(record.detail);
    TraceStep {
        at: record.at,
        what: record.event,
        connection: is_of_connection.then(|| context.node.connection(connection)),
    }
}

/// How far a message has come, as the receiver has said.
async fn stored(context: &Context, message: &shared::Message) -> Result<StoredMessage, StoreError> {
    let mut stored = StoredMessage {
        sender: message.sender,
        receiver: message.receiver,
        created_at: message.created_at,
        delivered_at: None,
        read_at: None,
    };
    let (Some(sender), Some(receiver), Some(created_at)) = (message.sender, message.receiver, message.created_at)
    else {
        return Ok(stored);
    };
    let summaries = context.store.summaries(&[(receiver, sender)]).await?;
    let place = Position {
        created_at,
        id: message.id,
    };
    let reached = |watermark: Option<Watermark>| -> Option<Timestamp> {
        let watermark = watermark.filter(|watermark| watermark.place >= place)?;
        Some(watermark.at)
    };
    if let Some(own) = summaries.first().and_then(|summary| summary.own) {
        stored.delivered_at = reached(own.delivered);
        stored.read_at = reached(own.read);
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_without_what_is_secret() {
        for (url, told) in [
            ("https://id.example/keys", "https://id.example/keys"),
            ("https://me:secret@id.example/keys?token=x#y", "https://id.example/keys"),
            ("https://a@b@id.example", "https://id.example"),
            ("keys", "no address"),
        ] {
            assert_eq!(without_password(url), told);
        }
    }
}
