//! Which part of a conversation a request asks for.
//!
//! A page keeps the number of messages that was asked for, however long they are. So a long one is not held: it is found
//! out where it begins, and it is read and written piece by piece.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Deserialize;
use shared::{ErrorCode, Message, MessageId, Timestamp, UserId, WireError, limits};

use super::extract;
use crate::app::App;
use crate::domain::{Bounds, Conversation, End, Position};
use crate::error;
use crate::storage::size;

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

/// What a page holds.
#[derive(Debug)]
pub enum Contents {
    /// All of it.
    Whole(Vec<Message>),
    /// Where it lies: it is too long to be held.
    Long(Stretch),
}

/// So many messages from one place on, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    bounds: Bounds,
    count: usize,
}

/// Reads a conversation for somebody, each piece when it is their turn.
#[derive(Clone)]
pub struct Reader {
    /// The server.
    pub app: Arc<App>,
    /// For whom.
    pub user: UserId,
    /// What.
    pub chat: Conversation,
}

impl Reader {
    /// The messages at one end of the bounds, up to `limit` and up to one piece.
    async fn piece(&self, bounds: Bounds, end: End, limit: usize) -> Result<Vec<Message>, WireError> {
        let Self { app, user, chat } = self;
        app.read(*user, app.store.page(*chat, bounds, end, limit)).await
    }

    /// Where the messages at one end of the bounds are listed, oldest first, however many pieces they are.
    async fn places(&self, mut bounds: Bounds, end: End, limit: usize) -> Result<VecDeque<Position>, WireError> {
        let mut places: VecDeque<Position> = VecDeque::new();
        loop {
            let piece = self.piece(bounds, end, limit - places.len()).await?;
            let found = piece.iter().map(Position::of);
            match end {
                End::Oldest => places.extend(found),
                End::Newest => found.rev().for_each(|place| places.push_front(place)),
            }
            if places.len() >= limit || !size::is_piece(&piece) {
                return Ok(places);
            }
            match end {
                End::Oldest => bounds.after = places.back().copied(),
                End::Newest => bounds.before = places.front().copied(),
            }
        }
    }

    async fn position(&self, name: &str, id: MessageId) -> Result<(Message, Position), WireError> {
        let Self { app, user, chat } = self;
        let message = app.read(*user, app.store.message(*chat, id)).await?;
        let message = message.ok_or_else(|| {
            WireError::new(
                ErrorCode::MessageNotFound,
                format!("{name}: this conversation has no message {id}"),
            )
        })?;
        let place = Position::of(&message);
        Ok((message, place))
    }
}

impl Stretch {
    /// Those that lie between these places, both included, in front of `before`.
    fn from(places: &VecDeque<Position>, before: Option<Position>) -> Self {
        Self {
            bounds: Bounds {
                after: places.front().map(|first| first.predecessor()),
                before,
            },
            count: places.len(),
        }
    }

    /// The next piece, and what is left behind it; none at the end.
    pub async fn next(mut self, reader: &Reader) -> Result<Option<(Vec<Message>, Self)>, WireError> {
        if self.count == 0 {
            return Ok(None);
        }
        let piece = reader.piece(self.bounds, End::Oldest, self.count).await?;
        let Some(last) = piece.last() else { return Ok(None) };
        self.bounds.after = Some(Position::of(last));
        self.count = match size::is_piece(&piece) {
            true => self.count.saturating_sub(piece.len()),
            false => 0,
        };
        Ok(Some((piece, self)))
    }
}

impl Page {
    /// Reads the page, oldest message first, or finds where it lies.
    pub async fn read(self, reader: &Reader) -> Result<Contents, WireError> {
        match self.anchor {
            Anchor::Between { after, before } => self.between(reader, after, before).await,
            Anchor::Around(id) => self.around(reader, id).await,
        }
    }

    /// Forwards if the start is named, else backwards from the end: whoever names neither wants the newest.
    async fn between(
        self,
        reader: &Reader,
        after: Option<MessageId>,
        before: Option<MessageId>,
    ) -> Result<Contents, WireError> {
        let bounds = self.range();
        let after = match after {
            Some(id) => Some(reader.position("after", id).await?.1),
            None => None,
        };
        let before = match before {
            Some(id) => Some(reader.position("before", id).await?.1),
            None => None,
        };
        let forwards = after.is_some() || (self.from.is_some() && before.is_none());
        let bounds = Bounds {
            after: bounds.after.max(after),
            before: earlier(bounds.before, before),
        };
        let end = if forwards { End::Oldest } else { End::Newest };
        let messages = reader.piece(bounds, end, self.limit).await?;
        Ok(match end {
            _ if is_all(&messages, self.limit) => Contents::Whole(messages),
            End::Oldest => Contents::Long(Stretch {
                bounds,
                count: self.limit,
            }),
            End::Newest => {
                drop(messages);
                let places = reader.places(bounds, end, self.limit).await?;
                Contents::Long(Stretch::from(&places, bounds.before))
            }
        })
    }

    /// The message itself in the middle, or nearer to an end of the conversation if there is not enough on one side.
    async fn around(self, reader: &Reader, id: MessageId) -> Result<Contents, WireError> {
        let (message, place) = reader.position("around", id).await?;
        let bounds = self.range();
        let others = self.limit - 1;
        let in_front = Bounds {
            before: earlier(bounds.before, Some(place)),
            ..bounds
        };
        let behind = Bounds {
            after: bounds.after.max(Some(place)),
            ..bounds
        };
        // How many of those behind it belong to the page, and how many of those in front of it.
        let shares = |older: usize, newer: usize| {
            let ahead = newer.min(others.div_ceil(2).max(others.saturating_sub(older)));
            (ahead, older.min(others - ahead))
        };
        let mut older = reader.piece(in_front, End::Newest, others).await?;
        let mut newer = reader.piece(behind, End::Oldest, others).await?;
        if is_all(&older, others) && is_all(&newer, others) {
            let (ahead, back) = shares(older.len(), newer.len());
            newer.truncate(ahead);
            older.drain(..older.len() - back);
            older.push(message);
            older.append(&mut newer);
            return Ok(Contents::Whole(older));
        }
        drop((older, newer));
        let mut older = reader.places(in_front, End::Newest, others).await?;
        let mut newer = reader.places(behind, End::Oldest, others).await?;
        let (ahead, back) = shares(older.len(), newer.len());
        newer.truncate(ahead);
        older.drain(..older.len() - back);
        older.push_back(place);
        older.append(&mut newer);
        Ok(Contents::Long(Stretch::from(&older, bounds.before)))
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

/// Whether there are no more of those that were asked for.
fn is_all(messages: &[Message], limit: usize) -> bool {
    messages.len() >= limit || !size::is_piece(messages)
}
