//! An event as one line for people: time, kind, and what it says.

use std::time::{Duration, SystemTime};

use anstyle::Style;
use chatctl_client::event::Event;
use chatctl_client::news::News;
use chatctl_terminal::output::{self, BAD, DIM, GOOD, NEW, ONE, OTHER};
use jiff::ZonedDateTime;
use shared::{Timestamp, UserId};

use crate::names::Names;
use crate::ticks::Tick;

/// Columns of the kind.
const KIND_COLUMNS: usize = 12;
/// Columns of a message's text.
const PREVIEW_COLUMNS: usize = 100;

/// The line.
pub(super) fn line(names: &mut Names, me: UserId, event: &Event) -> String {
    let (style, kind, text) = match News::read(me, event) {
        Some(news) => news_words(names, me, &news),
        None => other_words(names, event),
    };
    let time = now().strftime("%T");
    format!(
        "{DIM}{time}{DIM:#}  {style}{}{style:#}  {text}",
        output::pad(&kind, KIND_COLUMNS)
    )
}

fn now() -> ZonedDateTime {
    let elapsed = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    output::local(Timestamp::from_millis(
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX),
    ))
}

fn news_words(names: &mut Names, me: UserId, news: &News) -> (Style, String, String) {
    let mut name = |id: UserId| {
        let style = if id == me { ONE } else { OTHER };
        format!("{style}{}{style:#}", names.of(id))
    };
    let (style, kind, text) = match news {
        News::Received(message) | News::SentElsewhere(message) => {
            let mut of = |id: Option<UserId>| id.map_or_else(|| "?".to_owned(), &mut name);
            let (sender, receiver) = (of(message.sender), of(message.receiver));
            let text = message.message.as_deref().unwrap_or_default();
            let words = format!("{sender} → {receiver}  {}", output::preview(text, PREVIEW_COLUMNS));
            (GOOD, "message", words)
        }
        News::Delivered(receipt) | News::Read(receipt) => {
            let (kind, tick) = match news {
                News::Read(_) => ("read", Tick::Read),
                _ => ("delivered", Tick::Delivered),
            };
            let words = format!(
                "{} {} {DIM}up to {}{DIM:#}",
                tick.sign(),
                name(receipt.user_id),
                receipt.up_to
            );
            (DIM, kind, words)
        }
        News::Conversation(conversation) => {
            let style = if conversation.unread > 0 { NEW } else { DIM };
            let unread = output::unread(conversation.unread);
            let words = format!("{}  {style}{unread} unread{style:#}", name(conversation.peer_id));
            (DIM, "conversation", words)
        }
        News::Presence(presence) => {
            let (style, dot) = output::presence(presence.is_online);
            let what = if presence.is_online { "came" } else { "left" };
            (
                DIM,
                "presence",
                format!("{style}{dot}{style:#} {} {what}", name(presence.user_id)),
            )
        }
        News::Typing(typing) => {
            let what = if typing.is_typing { "types…" } else { "stopped typing" };
            (DIM, "typing", format!("{} {DIM}{what}{DIM:#}", name(typing.user_id)))
        }
        News::Settings(settings) => {
            let on = |on| if on { "on" } else { "off" };
            let (receipts, invisible) = (on(settings.read_receipts), on(settings.invisible));
            (
                DIM,
                "settings",
                format!("read receipts {receipts}, invisible {invisible}"),
            )
        }
        News::SyncDone(done) if done.has_more => (DIM, "catching up", String::new()),
        News::SyncDone(_) => (DIM, "caught up", String::new()),
        News::SyncReset(reset) => (BAD, "sync reset", output::one_line(&reset.message)),
        News::Failed(failed) => (BAD, "failed", output::one_line(&failed.error.to_string())),
    };
    (style, kind.to_owned(), text)
}

/// This program's own events, and those that it does not know.
fn other_words(names: &mut Names, event: &Event) -> (Style, String, String) {
    match event.name.as_str() {
        "connected" => {
            let id = event.payload["userId"].as_str().and_then(|id| id.parse().ok());
            let name = id.map(|id| names.of(id)).unwrap_or_default();
            (GOOD, "connected".to_owned(), format!("as {ONE}{name}{ONE:#}"))
        }
        "disconnected" => {
            let reason = event.payload["reason"].as_str().unwrap_or_default();
            let pause = event.payload["retryInMs"].as_u64().unwrap_or_default();
            let text = format!(
                "{}{DIM}; connecting again in {:.1} s{DIM:#}",
                output::one_line(reason),
                Duration::from_millis(pause).as_secs_f64()
            );
            (BAD, "disconnected".to_owned(), text)
        }
        name => {
            let payload = output::preview(&event.payload.to_string(), PREVIEW_COLUMNS);
            (DIM, output::one_line(name), payload)
        }
    }
}
