//! `chatctl inbox`: a user's conversations, page by page.

use std::io::{self, Write};

use chatctl_terminal::output::{self, DIM, JsonArray, NEW};
use shared::limits::MAX_PAGE;
use shared::{Conversation, UserId};
use unicode_width::UnicodeWidthStr;

use super::Context;
use crate::cli::Inbox;
use crate::ticks::{Position, Reach};

/// Columns of the last message's text.
const PREVIEW_COLUMNS: usize = 60;

/// Prints the conversations of the user that the arguments name, the one with the newest message first.
pub(super) fn run(context: &Context, arguments: &Inbox) -> anyhow::Result<()> {
    let me = context.user(arguments.me.as_deref(), "Whose conversations?")?;
    let mut left = arguments.limit.map_or(usize::MAX, |limit| limit as usize);
    let mut array = JsonArray::default();
    let (mut width, mut cursor, mut none) = (0, None, true);
    let total = loop {
        let page = context
            .http
            .conversations(me.id, cursor.as_deref(), left.min(MAX_PAGE))?;
        let names: Vec<String> = page.conversations.iter().map(|c| name(me.id, c)).collect();
        width = names.iter().map(|name| name.width()).fold(width, usize::max);
        for (conversation, name) in page.conversations.iter().zip(&names).take(left) {
            none = false;
            if context.json {
                array.push(conversation)?;
            } else {
                print(me.id, conversation, &output::pad(name, width))?;
            }
        }
        left = left.saturating_sub(page.conversations.len());
        cursor = page.next.filter(|_| left > 0);
        if cursor.is_none() {
            break page.total_unread;
        }
    };
    if context.json {
        array.end()?;
    } else if none {
        writeln!(
            anstream::stderr(),
            "{} has no conversations yet",
            output::one_line(&me.username)
        )?;
    } else {
        let style = if total > 0 { NEW } else { DIM };
        writeln!(anstream::stdout(), "{style}{} unread{style:#}", output::unread(total))?;
    }
    Ok(())
}

fn name(me: UserId, conversation: &Conversation) -> String {
    match &conversation.peer {
        Some(peer) if conversation.peer_id == me => format!("{} (notes)", output::one_line(&peer.username)),
        Some(peer) => output::one_line(&peer.username),
        // Whoever it was is gone.
        None => conversation.peer_id.to_string(),
    }
}

/// One row: presence, name, unread, time, ticks, text.
fn print(me: UserId, conversation: &Conversation, name: &str) -> io::Result<()> {
    let is_online = conversation.peer.as_ref().is_some_and(|peer| peer.is_online);
    let (colour, dot) = output::presence(is_online);
    let unread = match conversation.unread {
        0 => " ".repeat(5),
        count => format!("{NEW}{:>5}{NEW:#}", output::unread(count)),
    };
    let (mut time, mut text, mut ticks) = (" ".repeat(16), String::new(), String::new());
    if let Some(last) = &conversation.last_message {
        if let Some(at) = last.created_at {
            time = output::local(at).strftime("%F %R").to_string();
        }
        text = last.message.as_deref().map_or_else(
            || format!("{DIM}(no text){DIM:#}"),
            |text| output::preview(text, PREVIEW_COLUMNS),
        );
        if last.sender == Some(me) && conversation.peer_id != me {
            let reach = Reach {
                delivered: conversation.peer_delivered_up_to.map(Position::unknown),
                read: conversation.peer_read_up_to.map(Position::unknown),
            };
            ticks = format!("{} ", reach.tick(Position::unknown(last.id)).words());
        }
    }
    writeln!(
        anstream::stdout(),
        "{colour}{dot}{colour:#} {name}  {unread}  {DIM}{time}{DIM:#}  {ticks}{text}"
    )
}
