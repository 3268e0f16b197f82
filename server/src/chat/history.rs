//! The messages between two people: a page, or all of them.
//!
//! A page keeps the number of messages that was asked for, however long they are. So a long one is not held: it is found
//! out where it begins, and it is read and written piece by piece.

use std::collections::VecDeque;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use shared::{Message, MessageId, Timestamp, UserId, limits};

use super::Chat;
use super::error::Error;
use super::reader::Reader;
use crate::auth::Caller;
use crate::domain::{Bounds, Conversation, End, Position};
use crate::storage::size;

/// The part of a conversation that a request names.
#[derive(Debug, Default, Clone, Copy)]
pub struct PageRequest {
    /// How many messages, checked ([`checked_limit`](super::checked_limit)).
    pub limit: Option<usize>,
    /// Only messages before this one.
    pub before: Option<MessageId>,
    /// Only messages after this one.
    pub after: Option<MessageId>,
    /// This message and those around it.
    pub around: Option<MessageId>,
    /// Only messages of this time and later.
    pub from: Option<Timestamp>,
    /// Only messages of this time and earlier.
    pub to: Option<Timestamp>,
}

/// What a request for history is answered with.
pub enum History {
    /// A page.
    Page(Vec<Message>),
    /// More than is held at once.
    Pieces(Pieces),
}

/// Messages in pieces, each read when the one before has been taken.
pub type Pieces = BoxStream<'static, Result<Vec<Message>, Error>>;

/// Whether a caller may read a conversation.
///
/// # Errors
/// Only its two people and administrators may.
pub fn check_reader(caller: Caller, conversation: Conversation) -> Result<(), Error> {
    match caller.admin || conversation.includes(caller.user) {
        true => Ok(()),
        false => Err(Error::Forbidden(
            "only the two people of a conversation may read it".to_owned(),
        )),
    }
}

impl<R> Chat<R> {
    /// The messages of a conversation that a request names, or all of them; oldest first. They are read when it is the turn of
    /// `reader`.
    ///
    /// # Errors
    /// The request can't be met, or reading failed. Reading on can fail later, too.
    pub async fn history(
        &self,
        reader: UserId,
        conversation: Conversation,
        request: PageRequest,
    ) -> Result<History, Error> {
        let page = request.check()?;
        let reader = ConversationReader {
            reader: self.reader.clone(),
            user: reader,
            conversation,
        };
        let Some(page) = page else {
            return Ok(History::Pieces(whole(reader)));
        };
        Ok(match page.read(&reader).await? {
            Contents::Whole(messages) => History::Page(messages),
            Contents::Long(stretch) => History::Pieces(pieces(reader, stretch)),
        })
    }
}

/// All messages.
fn whole(reader: ConversationReader) -> Pieces {
    let chunks = reader.reader.store.history(reader.conversation);
    stream::try_unfold((reader, chunks), async |(reader, mut chunks)| {
        let next = async { chunks.next().await.transpose() };
        let chunk: Option<Vec<Message>> = reader.reader.read(reader.user, next).await?;
        Ok(chunk.map(|chunk| (chunk, (reader, chunks))))
    })
    .boxed()
}

/// Some of them.
fn pieces(reader: ConversationReader, stretch: Stretch) -> Pieces {
    stream::try_unfold((reader, stretch), async |(reader, stretch)| {
        let next = stretch.next(&reader).await?;
        Ok(next.map(|(piece, rest)| (piece, (reader, rest))))
    })
    .boxed()
}

/// A page that was asked for, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
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

impl PageRequest {
    /// The page, or `None` if nothing asks for one: then the whole history is meant.
    fn check(self) -> Result<Option<Page>, Error> {
        let Self {
            limit,
            before,
            after,
            around,
            from,
            to,
        } = self;
        let anchor = match around {
            Some(_) if before.is_some() || after.is_some() => {
                return Err(Error::Invalid(
                    "around: can't be combined with before or after".to_owned(),
                ));
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
enum Contents {
    /// All of it.
    Whole(Vec<Message>),
    /// Where it lies: it is too long to be held.
    Long(Stretch),
}

/// So many messages from one place on, oldest first.
struct Stretch {
    bounds: Bounds,
    count: usize,
}

/// Reads a conversation for a user, each piece when it is the user's turn.
struct ConversationReader {
    reader: Reader,
    /// For whom.
    user: UserId,
    /// What.
    conversation: Conversation,
}

impl ConversationReader {
    /// The messages at one end of the bounds, up to `limit` and up to one piece.
    async fn piece(&self, bounds: Bounds, end: End, limit: usize) -> Result<Vec<Message>, Error> {
        let page = self.reader.store.page(self.conversation, bounds, end, limit);
        self.reader.read(self.user, page).await
    }

    /// Where the messages at one end of the bounds are listed, oldest first, however many pieces they are.
    async fn places(&self, mut bounds: Bounds, end: End, limit: usize) -> Result<VecDeque<Position>, Error> {
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

    async fn position(&self, parameter: &'static str, id: MessageId) -> Result<(Message, Position), Error> {
        let message = self.reader.store.message(self.conversation, id);
        let message = self.reader.read(self.user, message).await?;
        let message = message.ok_or(Error::UnknownMessage { parameter, id })?;
        let place = Position::of(&message);
        Ok((message, place))
    }
}

impl Stretch {
    /// Those that lie between these places, both included, and before `before`.
    fn from(places: &VecDeque<Position>, before: Option<Position>) -> Self {
        Self {
            bounds: Bounds {
                after: places.front().map(|first| first.predecessor()),
                before,
            },
            count: places.len(),
        }
    }

    /// The next piece, and what is left after it; none at the end.
    async fn next(mut self, reader: &ConversationReader) -> Result<Option<(Vec<Message>, Self)>, Error> {
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
    async fn read(self, reader: &ConversationReader) -> Result<Contents, Error> {
        match self.anchor {
            Anchor::Between { after, before } => self.between(reader, after, before).await,
            Anchor::Around(id) => self.around(reader, id).await,
        }
    }

    /// Forwards if the start is named, else backwards from the end: a request that names neither wants the newest.
    async fn between(
        self,
        reader: &ConversationReader,
        after: Option<MessageId>,
        before: Option<MessageId>,
    ) -> Result<Contents, Error> {
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
    async fn around(self, reader: &ConversationReader, id: MessageId) -> Result<Contents, Error> {
        let (message, place) = reader.position("around", id).await?;
        let bounds = self.range();
        let others = self.limit - 1;
        let older_bounds = Bounds {
            before: earlier(bounds.before, Some(place)),
            ..bounds
        };
        let newer_bounds = Bounds {
            after: bounds.after.max(Some(place)),
            ..bounds
        };
        // How many of those after it belong to the page, and how many of those before it.
        let shares = |older: usize, newer: usize| {
            let ahead = newer.min(others.div_ceil(2).max(others.saturating_sub(older)));
            (ahead, older.min(others - ahead))
        };
        let mut older = reader.piece(older_bounds, End::Newest, others).await?;
        let mut newer = reader.piece(newer_bounds, End::Oldest, others).await?;
        if is_all(&older, others) && is_all(&newer, others) {
            let (ahead, back) = shares(older.len(), newer.len());
            newer.truncate(ahead);
            older.drain(..older.len() - back);
            older.push(message);
            older.append(&mut newer);
            return Ok(Contents::Whole(older));
        }
        drop((older, newer));
        let mut older = reader.places(older_bounds, End::Newest, others).await?;
        let mut newer = reader.places(newer_bounds, End::Oldest, others).await?;
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
