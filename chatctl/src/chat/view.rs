//! What happens, in words and colours for a terminal.

use chatctl_client::http::Http;
use chatctl_terminal::output::{self, BAD, DIM, GOOD, ONE, OTHER};
use jiff::civil::Date;
use shared::sync::Receipt;
use shared::{Conversation, Message, Timestamp, User, UserId};
use unicode_width::UnicodeWidthStr;

use super::ChatEvent;
use super::painted_ticks::TICK_PLACEHOLDER;
use super::sent_messages::SentMessages;
use super::status::Status;
use crate::names::Names;
use crate::ticks::{Position, Tick};

/// A stranger's message is announced with this many columns of it.
const PREVIEW_COLUMNS: usize = 60;

/// Words what happens. It knows everybody's names; those it doesn't, it asks the server for.
#[derive(Debug)]
pub(crate) struct View {
    me: UserId,
    peer: UserId,
    names: Names,
    /// What of the open conversation is one's own, and how far it came.
    sent_messages: SentMessages,
    /// The ticks in the words of the last report that may change, in their order.
    ticks: Vec<(Position, Tick)>,
    /// What the line above the typed one tells.
    status: Status,
    /// The day of the last message shown: the first of another day is announced by its date.
    day: Option<Date>,
    was_connected: bool,
    disconnected: bool,
    /// It was told why a message waits.
    excused: bool,
}

impl View {
    /// The view of `me`, who talks to `peer` at first.
    pub(crate) fn new(http: Http, me: User, peer: User) -> Self {
        let mut names = Names::new(http, &[&me, &peer]);
        let status = Status {
            me: names.of(me.id),
            peer: names.of(peer.id),
            ..Status::default()
        };
        Self {
            me: me.id,
            peer: peer.id,
            names,
            sent_messages: SentMessages::default(),
            ticks: Vec::new(),
            status,
            day: None,
            was_connected: false,
            disconnected: false,
            excused: false,
        }
    }

    /// What the line above the typed one tells.
    pub(crate) fn status(&self) -> Status {
        Status {
            tick: self.sent_messages.last_tick(),
            ..self.status.clone()
        }
    }

    /// The ticks that stand after a [`TICK_PLACEHOLDER`] in the words that were made last.
    pub(crate) fn take_ticks(&mut self) -> Vec<(Position, Tick)> {
        std::mem::take(&mut self.ticks)
    }

    /// How far an own message of the open conversation came.
    pub(crate) fn tick(&self, position: Position) -> Tick {
        self.sent_messages.tick(position)
    }

    /// What to print; none for what people needn't know.
    pub(crate) fn words(&mut self, report: &ChatEvent) -> Option<String> {
        Some(match report {
            ChatEvent::Connected => {
                self.disconnected = false;
                self.status.offline = false;
                match std::mem::replace(&mut self.was_connected, true) {
                    true => format!("{GOOD}connected again{GOOD:#}"),
                    false => {
                        let me = self.names.of(self.me);
                        format!("{DIM}connected as {me}; /help shows the commands{DIM:#}")
                    }
                }
            }
            ChatEvent::Disconnected { reason, .. } => {
                self.status.offline = true;
                (self.status.is_online, self.status.is_typing) = (None, false);
                if std::mem::replace(&mut self.disconnected, true) {
                    return None;
                }
                let what = if self.was_connected {
                    "connection lost"
                } else {
                    "no connection"
                };
                format!("{BAD}{what}, reconnecting…{BAD:#} {DIM}({reason}){DIM:#}")
            }
            ChatEvent::Opened { with, messages } => {
                self.day = None;
                let name = self.names.of(*with);
                if messages.is_empty() {
                    format!("{DIM}no messages with {name} yet{DIM:#}")
                } else {
                    format!("{DIM}── {name} ──{DIM:#}\n{}", self.messages(messages))
                }
            }
            ChatEvent::History(messages) => {
                self.day = None;
                if messages.is_empty() {
                    format!("{DIM}no messages yet{DIM:#}")
                } else {
                    let count = messages.len();
                    format!(
                        "{DIM}── the last {count} ──{DIM:#}\n{}\n{DIM}──{DIM:#}",
                        self.messages(messages)
                    )
                }
            }
            ChatEvent::HistoryFailed(reason) => format!("{BAD}history:{BAD:#} {}", output::one_line(reason)),
            ChatEvent::CaughtUp(_) => return None,
            ChatEvent::Gap(reason) => {
                let reason = output::one_line(reason);
                format!("{BAD}messages may be missing above{BAD:#} {DIM}({reason}; /history shows them){DIM:#}")
            }
            ChatEvent::Delivered(receipt) => return self.delivered(receipt),
            ChatEvent::Read(receipt) => return self.read(receipt),
            ChatEvent::Typing(typing) => {
                if typing.user_id == self.peer {
                    self.status.is_typing = typing.is_typing;
                }
                return None;
            }
            ChatEvent::Presence(presence) => {
                if presence.user_id == self.peer {
                    self.status.stranger = false;
                    self.status.is_online = Some(presence.is_online);
                }
                return None;
            }
            ChatEvent::Conversation(conversation) => return self.changed(conversation),
            ChatEvent::Reached { with, delivered, read } => {
                self.switch_peer(*with);
                self.sent_messages.replace_receipts(*delivered, *read);
                return None;
            }
            ChatEvent::Elsewhere(count) => {
                self.status.elsewhere = *count;
                return None;
            }
            ChatEvent::Heard { message, .. } => match self.other(message) {
                Some(other) if other != self.peer => self.notice(message, other),
                _ => self.message(message),
            },
            ChatEvent::Sent { message, .. } => {
                self.excused = false;
                match message.receiver {
                    // Said before the conversation was changed.
                    Some(receiver) if receiver != self.peer => {
                        let name = self.names.of(receiver);
                        let tick = Tick::Stored.sign();
                        format!("{DIM}to {name}:{DIM:#} {} {tick}", output::text(message, 4))
                    }
                    _ => self.message(message),
                }
            }
            ChatEvent::NoDatabase => return self.excuse("the database of the server does not answer; trying again"),
            ChatEvent::Retrying { error, .. } => return self.excuse(&error.message),
            ChatEvent::Refused { draft, error } => {
                let text = output::preview(&draft.text, PREVIEW_COLUMNS);
                format!(
                    "{BAD}✗ {}: {}{BAD:#} {DIM}{text}{DIM:#}",
                    error.code,
                    output::one_line(&error.message)
                )
            }
            ChatEvent::Held(text) => {
                let text = output::harmless(text).replace('\n', "\n  ");
                format!("{DIM}… {text}{DIM:#}")
            }
            ChatEvent::Stranger(user) => {
                self.status.stranger = *user == self.peer;
                return None;
            }
            ChatEvent::Waiting(count) => {
                let what = if *count == 1 {
                    "1 message waits"
                } else {
                    &format!("{count} messages wait")
                };
                format!("{DIM}… {what} to be stored{DIM:#}")
            }
            ChatEvent::Unacknowledged(drafts) => {
                let lines = drafts.iter().map(|draft| {
                    format!(
                        "{BAD}✗ not acknowledged:{BAD:#} {}",
                        output::preview(&draft.text, PREVIEW_COLUMNS)
                    )
                });
                lines.collect::<Vec<_>>().join("\n")
            }
        })
    }

    /// Why a message waits, once until one is stored.
    fn excuse(&mut self, reason: &str) -> Option<String> {
        let told = std::mem::replace(&mut self.excused, true);
        (!told).then(|| {
            let reason = output::one_line(reason);
            format!("{BAD}not stored yet{BAD:#} {DIM}({reason}){DIM:#}")
        })
    }

    fn messages(&mut self, messages: &[Message]) -> String {
        let lines: Vec<String> = messages.iter().map(|message| self.message(message)).collect();
        lines.join("\n")
    }

    /// Another conversation is open now.
    fn switch_peer(&mut self, with: UserId) {
        if self.peer != with {
            self.peer = with;
            self.sent_messages = SentMessages::default();
            self.status.peer = self.names.of(with);
            self.status.stranger = false;
            (self.status.is_online, self.status.is_typing) = (None, false);
        }
    }

    fn delivered(&mut self, receipt: &Receipt) -> Option<String> {
        if receipt.user_id == self.peer {
            self.sent_messages.delivered(receipt.up_to);
        }
        None
    }

    fn read(&mut self, receipt: &Receipt) -> Option<String> {
        let read = (receipt.user_id == self.peer).then(|| self.sent_messages.read(receipt.up_to, Some(receipt.at)));
        self.read_up_to(read.flatten()?)
    }

    fn changed(&mut self, conversation: &Conversation) -> Option<String> {
        if conversation.peer_id != self.peer {
            return None;
        }
        if let Some(up_to) = conversation.peer_delivered_up_to {
            self.sent_messages.delivered(up_to);
        }
        let read = conversation
            .peer_read_up_to
            .map(|up_to| self.sent_messages.read(up_to, None));
        self.read_up_to(read.flatten()?)
    }

    /// A line about messages that stand further up with fewer ticks than they have now.
    fn read_up_to(&mut self, up_to: Timestamp) -> Option<String> {
        let (sign, name) = (Tick::Read.sign(), self.names.of(self.peer));
        let time = output::local(up_to).strftime("%R");
        Some(format!("{sign} {DIM}read up to {time} by {name}{DIM:#}"))
    }

    /// Time, name, text; ticks after what is our own, at least one, for it is stored.
    fn message(&mut self, message: &Message) -> String {
        let at = message.created_at.map(output::local);
        let mut lines = String::new();
        if let Some(at) = &at
            && self.day != Some(at.date())
        {
            self.day = Some(at.date());
            lines = format!("{DIM}{}{DIM:#}\n", at.strftime("%A, %-d %B %Y"));
        }
        let time = at.map_or_else(|| " ".repeat(8), |at| at.strftime("%T").to_string());
        let width = self.names.of(self.me).width().max(self.names.of(self.peer).width());
        let name = message
            .sender
            .map_or_else(|| "?".to_owned(), |sender| self.names.of(sender));
        let sent_messages = message.sender == Some(self.me);
        let style = if sent_messages { ONE } else { OTHER };
        let text = output::text(message, time.len() + width + 4);
        let tick = if sent_messages {
            let tick = self.sent_messages.own_message_shown(message);
            self.ticks.push((Position::of(message), tick));
            format!(" {TICK_PLACEHOLDER}{}", tick.sign())
        } else {
            self.sent_messages.peer_message_shown(message);
            self.status.is_typing = false;
            String::new()
        };
        format!(
            "{lines}{DIM}{time}{DIM:#}  {style}{}{style:#}  {text}{tick}",
            output::pad(&name, width)
        )
    }

    /// One line about a message outside the open conversation.
    fn notice(&mut self, message: &Message, other: UserId) -> String {
        let name = self.names.of(other);
        let text = output::preview(message.message.as_deref().unwrap_or_default(), PREVIEW_COLUMNS);
        if message.sender == Some(self.me) {
            let tick = Tick::Stored.sign();
            return format!("{DIM}to {name}, from another client:{DIM:#} {text} {tick}");
        }
        format!("{OTHER}{name}{OTHER:#} {DIM}writes:{DIM:#} {text} {DIM}(/with {name}){DIM:#}")
    }

    fn other(&self, message: &Message) -> Option<UserId> {
        if message.sender == Some(self.me) {
            message.receiver
        } else {
            message.sender
        }
    }
}
