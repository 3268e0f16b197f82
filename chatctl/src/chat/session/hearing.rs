//! What a [`Session`] hears, live and from history: each message is shown once, the missed ones first.

use std::time::Instant;

use shared::limits::PAGE;
use shared::{Message, UserId};

use super::super::{OPENING, Report};
use super::{Effect, REFETCH, Session};
use crate::client::http::Page;

/// Messages held back at most; beyond, they are shown out of order rather than kept.
const HELD: usize = 10_000;

/// A fetch that is due or on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    pub(super) with: UserId,
    /// None: the newest messages, to open the conversation with.
    pub(super) page: Option<Page>,
}

/// A message that came, and how.
#[derive(Debug)]
pub(super) struct Heard {
    message: Message,
    /// From history: it was missed while there was no connection.
    missed: bool,
}

impl Session {
    /// The user opened another conversation.
    pub(crate) fn open(&mut self, with: UserId) {
        self.peer = with;
        self.opened = false;
        if self.online {
            let idle = self.tasks.is_empty();
            self.tasks.push_back(Task { with, page: None });
            if idle {
                self.fetch();
            }
        }
    }

    /// A message came, from somebody or from another client of this user.
    pub(crate) fn heard(&mut self, message: Message) {
        self.take(Heard { message, missed: false });
    }

    /// The answer to [`Effect::Fetch`].
    pub(crate) fn fetched(&mut self, now: Instant, ticket: u64, answer: Result<Vec<Message>, String>) {
        if ticket != self.ticket {
            return;
        }
        let Some(task) = self.tasks.front().copied() else {
            return;
        };
        self.history_failed &= answer.is_err();
        match (answer, task.page) {
            (Err(reason), _) => {
                if !std::mem::replace(&mut self.history_failed, true) {
                    self.report(Report::HistoryFailed(reason));
                }
                self.refetch_at = Some(now + REFETCH);
                return;
            }
            (Ok(messages), None) => self.show_opening(task.with, messages),
            (Ok(messages), Some(page)) => {
                let more = page != Page::All && messages.len() >= PAGE;
                let last = messages.last().map(|message| message.id);
                for message in messages {
                    self.take(Heard { message, missed: true });
                }
                if let (true, Some(last)) = (more, last) {
                    self.tasks[0].page = Some(Page::After(last));
                    return self.fetch();
                }
            }
        }
        self.tasks.pop_front();
        if self.tasks.is_empty() {
            self.release();
        } else {
            self.fetch();
        }
    }

    /// Fetches what came while there was no connection.
    pub(super) fn catch_up(&mut self) {
        self.tasks.clear();
        let opening = (!self.opened).then_some(self.peer);
        self.tasks.extend(opening.map(|with| Task { with, page: None }));
        let gaps = self
            .timeline
            .gaps()
            .into_iter()
            .filter(|(with, _)| Some(*with) != opening);
        self.tasks
            .extend(gaps.map(|(with, page)| Task { with, page: Some(page) }));
        self.fetch();
    }

    /// Asks for the first of the tasks.
    pub(super) fn fetch(&mut self) {
        if let Some(task) = self.tasks.front() {
            self.ticket += 1;
            self.effects.push_back(Effect::Fetch {
                ticket: self.ticket,
                with: task.with,
                page: task.page.unwrap_or(Page::Newest(OPENING)),
            });
        }
    }

    fn show_opening(&mut self, with: UserId, mut messages: Vec<Message>) {
        let whole = messages.len() < OPENING;
        // What came live meanwhile is shown behind, as live.
        messages.retain(|message| !self.held.iter().any(|held| held.message.id == message.id));
        // Our own that may be the unanswered draft are shown by its answer.
        let uncertain = self.outbox.uncertain();
        let (me, timeline) = (self.me, &self.timeline);
        let unclear = |message: &mut Message| uncertain && message.sender == Some(me) && !timeline.has_seen(message.id);
        let unclear: Vec<Message> = messages.extract_if(.., unclear).collect();
        self.timeline.open(with, &messages, whole);
        if with == self.peer {
            self.opened = true;
            self.report(Report::Opened { with, messages });
        }
        for message in unclear {
            self.take(Heard { message, missed: true });
        }
    }

    fn take(&mut self, heard: Heard) {
        if self.timeline.has_seen(heard.message.id) {
            return;
        }
        if self.must_wait(&heard) && self.held.len() < HELD {
            self.held.push(heard);
        } else {
            self.show(heard);
        }
    }

    fn must_wait(&self, heard: &Heard) -> bool {
        let own = heard.message.sender == Some(self.me);
        (own && self.outbox.uncertain()) || (!self.tasks.is_empty() && !heard.missed)
    }

    /// Shows what was held back and needn't be any more.
    pub(super) fn release(&mut self) {
        for heard in std::mem::take(&mut self.held) {
            self.take(heard);
        }
    }

    fn show(&mut self, heard: Heard) {
        let Heard { message, missed } = heard;
        if self.timeline.see(self.counterpart(&message), &message) {
            self.report(Report::Heard { message, missed });
        }
    }

    /// With whom a message was exchanged.
    pub(super) fn counterpart(&self, message: &Message) -> UserId {
        let other = if message.sender == Some(self.me) {
            message.receiver
        } else {
            message.sender
        };
        other.unwrap_or(self.peer)
    }
}
