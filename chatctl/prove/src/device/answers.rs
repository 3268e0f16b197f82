//! What a device's requests are answered with.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::de::DeserializeOwned;
use shared::conversation::MarkedUpTo;
use shared::events::{self, Answer, Sent};
use shared::presence::CurrentSettings;
use shared::session::Refreshed;
use shared::sync::Synced;
use shared::{ErrorCode, Message, WireError};
use tokio::time::Instant;

use super::connection::{Asked, DeviceConnection};
use crate::document::Document;
use crate::message_copy::MarkerKey;
use crate::record::{Acknowledged, How};
use crate::violation::{Example, Kind};
use crate::wire;

/// Wait before repeating what was refused without saying when to try again, in milliseconds.
const RETRY_DELAY_MILLIS: u64 = 500;

impl DeviceConnection<'_> {
    /// An answer to the request of this number.
    pub(super) fn answer(&mut self, number: u32, body: &str) {
        let Some((asked, _)) = self.asked.remove(&number) else {
            let what = format!("to request {number} of a connection");
            return self.device.complain(Kind::SurplusAnswer, Example::new(what));
        };
        match asked {
            Asked::Send { index, first } => {
                if let Some(answer) = self.read(events::SEND_MESSAGE, body) {
                    let acknowledged_order = first.then_some(Acknowledged {
                        connection: self.number,
                        order: number,
                    });
                    self.sent(index, acknowledged_order, answer);
                }
            }
            Asked::Mark(index) => {
                if let Some(answer) = self.read(events::MARK_READ, body) {
                    self.marked(index, answer);
                }
            }
            Asked::Settings => {
                if let Some(answer) = self.read(events::UPDATE_SETTINGS, body) {
                    self.settings_answered(answer);
                }
            }
            Asked::Refresh(made) => {
                if let Some(answer) = self.read(events::REFRESH_TOKEN, body) {
                    self.refreshed(made, answer);
                }
            }
            Asked::Sync => {
                if let Some(answer) = self.read(events::SYNC, body) {
                    self.synced(answer);
                }
            }
        }
    }

    fn read<T: DeserializeOwned>(&mut self, event: &str, body: &str) -> Option<Answer<T>> {
        match wire::answer(body) {
            Ok(answer) => Some(answer),
            Err(error) => {
                let what = format!(
                    "the answer to {event}: {:?} at column {}",
                    error.classify(),
                    error.column()
                );
                self.device.complain(Kind::Malformed, Example::new(what));
                None
            }
        }
    }

    /// Counts an error; returns when the same can be tried again, in milliseconds, if it can.
    fn error(&mut self, error: &WireError) -> Option<u64> {
        self.device
            .context
            .measurements
            .lock()
            .counts
            .error(error.code.as_str());
        let passing = matches!(
            error.code,
            ErrorCode::StoreUnavailable | ErrorCode::Overloaded | ErrorCode::ShuttingDown | ErrorCode::RateLimited
        ) || error.code == ErrorCode::TokenRevoked
            // The connection is about to end.
            && self
                .device
                .context
                .tokens
                .may_be_revoked(self.device.user.id, self.device.made);
        error.retry_after_ms.or(passing.then_some(RETRY_DELAY_MILLIS))
    }

    fn sent(&mut self, index: usize, acknowledged_order: Option<Acknowledged>, answer: Answer<Sent<Message>>) {
        let user = std::sync::Arc::clone(&self.device.user);
        let sent = match answer {
            Answer::Ok(sent) => sent,
            Answer::Error(error) => {
                return match self.error(&error) {
                    Some(pause) => user.send_again(index, self.later(pause)),
                    None => user.refused(index, error.code.as_str()),
                };
            }
        };
        let Some(document) = Document::of(&sent.message) else {
            let example = Example::new("an acknowledged message lacks a field").messages([sent.message.id]);
            return self.device.complain(Kind::Malformed, example);
        };
        let first = user.acknowledged(index, document, sent.duplicate, acknowledged_order);
        let now = self.device.context.now();
        {
            let mut measurements = self.device.context.measurements.lock();
            measurements.counts.duplicates += u64::from(sent.duplicate);
            if let Some(at) = first {
                measurements.acknowledged(now, now.saturating_sub(at));
            }
        }
        if !sent.duplicate && self.live.is_some() {
            self.device.updates_due.insert(document.receiver);
        }
        self.store(document, How::Answer);
    }

    fn marked(&mut self, index: usize, answer: Answer<MarkedUpTo>) {
        let user = std::sync::Arc::clone(&self.device.user);
        match answer {
            Answer::Ok(marked) => {
                self.device.context.measurements.lock().counts.marks += 1;
                let peer = marked.peer_id;
                for (read, up_to) in [(true, marked.read_up_to), (false, marked.delivered_up_to)] {
                    if let Some(up_to) = up_to {
                        self.device.copy.mark(MarkerKey { peer, own: true, read }, up_to);
                    }
                }
                user.mark_answered(index, Ok(marked));
            }
            Answer::Error(error) => match self.error(&error) {
                Some(pause) => user.mark_again(index, self.later(pause)),
                None => user.mark_answered(index, Err(error.code.as_str())),
            },
        }
    }

    fn settings_answered(&mut self, answer: Answer<CurrentSettings>) {
        match answer {
            Answer::Ok(CurrentSettings { settings }) => {
                self.device.context.measurements.lock().counts.settings += 1;
                self.device.copy.set(settings);
                self.device.user.changed(Some(settings));
            }
            Answer::Error(error) => match self.error(&error) {
                Some(pause) => self
                    .device
                    .user
                    .change_again(self.later(pause), self.device.context.now()),
                None => {
                    let what = format!("{}: {}", events::UPDATE_SETTINGS, error.code);
                    self.device.complain(Kind::Refused, Example::new(what));
                    self.device.user.changed(None);
                }
            },
        }
    }

    fn refreshed(&mut self, made: i64, answer: Answer<Refreshed>) {
        let tokens = &self.device.context.tokens;
        match answer {
            Answer::Ok(_) => {
                tokens.refreshed.fetch_add(1, Relaxed);
                self.device.made = made;
            }
            Answer::Error(error) if error.code == ErrorCode::TokenRevoked => {
                if !tokens.may_be_revoked(self.device.user.id, made.min(self.device.made)) {
                    self.device.complain(
                        Kind::Refused,
                        Example::new(format!("{}: {}", events::REFRESH_TOKEN, error.code)),
                    );
                }
            }
            Answer::Error(error) => match self.error(&error) {
                Some(_) => self.expiring = true,
                None => {
                    let what = format!("{}: {}", events::REFRESH_TOKEN, error.code);
                    self.device.complain(Kind::Refused, Example::new(what));
                }
            },
        }
    }

    fn synced(&mut self, answer: Answer<Synced>) {
        match answer {
            Answer::Ok(synced) => {
                self.device.context.measurements.lock().counts.pages += 1;
                synced.events.into_iter().for_each(|event| self.changed(event));
                self.device.copy.advance(&synced.next);
                if synced.has_more {
                    self.page = Some((synced.next, Instant::now()));
                } else {
                    self.caught_up();
                }
            }
            Answer::Error(error) if error.code == ErrorCode::SyncReset => self.reset(&error.message),
            Answer::Error(error) => match self.error(&error) {
                Some(pause) => {
                    let cursor = self.device.copy.cursor().to_owned();
                    self.page = Some((cursor, Instant::now() + Duration::from_millis(pause)));
                }
                None => {
                    let what = format!("{}: {}", events::SYNC, error.code);
                    self.device.complain(Kind::Refused, Example::new(what));
                }
            },
        }
    }
}
