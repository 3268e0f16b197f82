//! What happens, in words and colours for a terminal.

use std::collections::HashMap;

use jiff::civil::Date;
use shared::{Message, User, UserId};
use unicode_width::UnicodeWidthStr;

use super::Report;
use crate::client::http::Http;
use crate::output::{self, BAD, DIM, GOOD, ONE, OTHER};

/// A stranger's message is announced with this many characters of it.
const PREVIEW: usize = 60;

/// Words what happens. It knows everybody's names; those it doesn't, it asks the server for.
#[derive(Debug)]
pub(crate) struct View {
    http: Http,
    me: UserId,
    peer: UserId,
    names: HashMap<UserId, String>,
    /// The day of the last message shown: the first of another day is announced by its date.
    day: Option<Date>,
    was_connected: bool,
    disconnected: bool,
}

impl View {
    /// The view of `me`, who talks to `peer` at first.
    pub(crate) fn new(http: Http, me: User, peer: User) -> Self {
        let names = [&me, &peer].map(|user| (user.id, output::one_line(&user.username)));
        Self {
            http,
            me: me.id,
            peer: peer.id,
            names: names.into(),
            day: None,
            was_connected: false,
            disconnected: false,
        }
    }

    /// What to print; none for what people needn't know.
    pub(crate) fn words(&mut self, report: &Report) -> Option<String> {
        Some(match report {
            Report::Connected => {
                self.disconnected = false;
                match std::mem::replace(&mut self.was_connected, true) {
                    true => format!("{GOOD}connected again{GOOD:#}"),
                    false => {
                        let me = self.name(self.me);
                        format!("{DIM}connected as {me}; /help shows the commands{DIM:#}")
                    }
                }
            }
            Report::Disconnected { reason, .. } => {
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
            Report::Opened { with, messages } => {
                self.peer = *with;
                self.day = None;
                let name = self.name(*with);
                if messages.is_empty() {
                    format!("{DIM}no messages with {name} yet{DIM:#}")
                } else {
                    format!("{DIM}── {name} ──{DIM:#}\n{}", self.messages(messages))
                }
            }
            Report::History(messages) => {
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
            Report::HistoryFailed(reason) => format!("{BAD}history:{BAD:#} {}", output::one_line(reason)),
            Report::Heard { message, .. } => match self.other(message) {
                Some(other) if other != self.peer => self.notice(message, other),
                _ => self.message(message),
            },
            Report::Sent { message, .. } => match message.receiver {
                // Said before the conversation was changed.
                Some(receiver) if receiver != self.peer => {
                    let name = self.name(receiver);
                    format!("{DIM}to {name}:{DIM:#} {} {GOOD}✓{GOOD:#}", output::text(message, 4))
                }
                _ => self.message(message),
            },
            Report::Retrying { .. } => return None,
            Report::Refused { draft, error } => {
                let text = preview(&draft.text);
                format!(
                    "{BAD}✗ {}: {}{BAD:#} {DIM}{text}{DIM:#}",
                    error.code,
                    output::one_line(&error.message)
                )
            }
            Report::Waiting(count) => {
                let what = if *count == 1 {
                    "1 message waits"
                } else {
                    &format!("{count} messages wait")
                };
                format!("{DIM}… {what} to be stored{DIM:#}")
            }
            Report::Unacknowledged(drafts) => {
                let lines = drafts
                    .iter()
                    .map(|draft| format!("{BAD}✗ not acknowledged:{BAD:#} {}", preview(&draft.text)));
                lines.collect::<Vec<_>>().join("\n")
            }
        })
    }

    fn messages(&mut self, messages: &[Message]) -> String {
        let lines: Vec<String> = messages.iter().map(|message| self.message(message)).collect();
        lines.join("\n")
    }

    /// Time, name, text; a tick behind what is our own, for it is stored.
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
        let width = self.name(self.me).width().max(self.name(self.peer).width());
        let name = message
            .sender
            .map_or_else(|| "?".to_owned(), |sender| self.name(sender));
        let own = message.sender == Some(self.me);
        let style = if own { ONE } else { OTHER };
        let text = output::text(message, time.len() + width + 4);
        let tick = if own {
            format!(" {GOOD}✓{GOOD:#}")
        } else {
            String::new()
        };
        format!(
            "{lines}{DIM}{time}{DIM:#}  {style}{}{style:#}  {text}{tick}",
            output::pad(&name, width)
        )
    }

    /// One line about a message outside the open conversation.
    fn notice(&mut self, message: &Message, other: UserId) -> String {
        let name = self.name(other);
        let text = message.message.as_deref().map(preview).unwrap_or_default();
        if message.sender == Some(self.me) {
            return format!("{DIM}to {name}, from another client:{DIM:#} {text} {GOOD}✓{GOOD:#}");
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

    fn name(&mut self, id: UserId) -> String {
        if let Some(name) = self.names.get(&id) {
            return name.clone();
        }
        match self.http.user(id) {
            Ok(user) => {
                let name = output::one_line(&user.username);
                self.names.insert(id, name.clone());
                name
            }
            // Asked for again next time.
            Err(_) => id.to_string(),
        }
    }
}

fn preview(text: &str) -> String {
    let line = output::one_line(text);
    match line.char_indices().nth(PREVIEW) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
