//! Which part of a conversation a request asks for.

use serde::Deserialize;
use shared::{ErrorCode, MessageId, Timestamp, WireError, limits};

use super::extract;
use crate::error;
use crate::store::{Bounds, Conversation, End, Position, Store};

/// Query of the history endpoint, as it comes.
#[derive(Deserialize)]
pub struct PageQuery {
    limit: Option<String>,
    before: Option<String>,
    after: Option<String>,
    around: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// A page that was asked for, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    anchor: Anchor,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Between {
        after: Option<MessageId>,
        before: Option<MessageId>,
    },
    Around(MessageId),
}

/// A page size, if one was asked for.
pub fn limit(text: Option<&str>) -> Result<Option<usize>, WireError> {
    checked_limit(extract::parameter::<usize>("limit", text)?)
}

/// Checks a page size.
pub fn checked_limit(limit: Option<usize>) -> Result<Option<usize>, WireError> {
    match limit {
        Some(0) => Err(error::invalid_request(format!("limit: must be 1 to {}", limits::PAGE))),
        Some(limit) if limit > limits::PAGE => Err(error::invalid_request(format!(
            "limit: {limit} is too much; 1 to {} are allowed",
            limits::PAGE
        ))),
        limit => Ok(limit),
    }
}

impl PageQuery {
    /// The page, or `None` if no parameter asks for one: then the whole history is meant.
    pub fn check(&self) -> Result<Option<Page>, WireError> {
        let limit = limit(self.limit.as_deref())?;
        let id = |name, text: &Option<String>| text.as_deref().map(|text| extract::id(name, text)).transpose();
        let (before, after, around) = (
            id("before", &self.before)?,
            id("after", &self.after)?,
            id("around", &self.around)?,
        );
        let from = extract::parameter("from", self.from.as_deref())?;
        let to = extract::parameter("to", self.to.as_deref())?;
        let anchor = match around {
            Some(_) if before.is_some() || after.is_some() => {
                return Err(error::invalid_request("around: can't be combined with before or after"));
            }
            Some(id) => Anchor::Around(id),
            None => Anchor::Between { after, before },
        };
        let asked = limit.is_some() || before.is_some() || after.is_some() || around.is_some();
        let asked = asked || from.is_some() || to.is_some();
        Ok(asked.then_some(Page {
            anchor,
            from,
            to,
            limit: limit.unwrap_or(limits::DEFAULT_PAGE),
        }))
    }
}

impl Page {
    /// Reads the page, oldest message first.
    pub async fn read(self, store: &dyn Store, chat: Conversation) -> Result<Vec<shared::Message>, WireError> {
        match self.anchor {
            Anchor::Between { after, before } => self.between(store, chat, after, before).await,
            Anchor::Around(id) => self.around(store, chat, id).await,
        }
    }

    /// Forwards if the start is named, else backwards from the end: whoever names neither wants the newest.
    async fn between(
        self,
        store: &dyn Store,
        chat: Conversation,
        after: Option<MessageId>,
        before: Option<MessageId>,
    ) -> Result<Vec<shared::Message>, WireError> {
        let bounds = self.range();
        let after = match after {
            Some(id) => Some(position(store, chat, "after", id).await?.1),
            None => None,
        };
        let before = match before {
            Some(id) => Some(position(store, chat, "before", id).await?.1),
            None => None,
        };
        let forwards = after.is_some() || (self.from.is_some() && before.is_none());
        let bounds = Bounds {
            after: bounds.after.max(after),
            before: earlier(bounds.before, before),
        };
        let end = if forwards { End::Oldest } else { End::Newest };
        store
            .page(chat, bounds, end, self.limit)
            .await
            .map_err(error::store_error)
    }

    /// The message itself in the middle, or nearer to an end of the conversation if there is not enough on one side.
    async fn around(
        self,
        store: &dyn Store,
        chat: Conversation,
        id: MessageId,
    ) -> Result<Vec<shared::Message>, WireError> {
        let (message, place) = position(store, chat, "around", id).await?;
        let bounds = self.range();
        let others = self.limit - 1;
        let read = async |bounds, end| store.page(chat, bounds, end, others).await.map_err(error::store_error);
        let mut older = read(
            Bounds {
                before: earlier(bounds.before, Some(place)),
                ..bounds
            },
            End::Newest,
        )
        .await?;
        let mut newer = read(
            Bounds {
                after: bounds.after.max(Some(place)),
                ..bounds
            },
            End::Oldest,
        )
        .await?;
        let ahead = newer
            .len()
            .min(others.div_ceil(2).max(others.saturating_sub(older.len())));
        newer.truncate(ahead);
        older.drain(..older.len().saturating_sub(others - ahead));
        older.push(message);
        older.append(&mut newer);
        Ok(older)
    }

    /// `from` and `to` include the moments they name.
    fn range(self) -> Bounds {
        let millis = |at: Timestamp, by: i64| Timestamp::from_millis(at.millis().saturating_add(by));
        Bounds {
            after: self.from.map(|from| Position::end_of(millis(from, -1))),
            before: self.to.map(|to| Position::start_of(millis(to, 1))),
        }
    }
}

fn earlier(a: Option<Position>, b: Option<Position>) -> Option<Position> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

async fn position(
    store: &dyn Store,
    chat: Conversation,
    name: &str,
    id: MessageId,
) -> Result<(shared::Message, Position), WireError> {
    let message = store.message(chat, id).await.map_err(error::store_error)?;
    let message = message.ok_or_else(|| {
        WireError::new(
            ErrorCode::MessageNotFound,
            format!("{name}: this conversation has no message {id}"),
        )
    })?;
    let place = Position::of(&message);
    Ok((message, place))
}
