//! `chatctl history`: what two users wrote to each other, in constant memory.

use std::fmt;
use std::io::{self, Read, Write};

use chatctl_client::http::Bearer;
use chatctl_terminal::output::{self, JsonArray, ONE, OTHER};
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use shared::{Message, User};
use unicode_width::UnicodeWidthStr;

use super::Context;
use crate::cli::History;

/// Prints the conversation that the arguments name.
pub(super) fn run(context: &Context, arguments: &History) -> anyhow::Result<()> {
    let one = context.user(arguments.one.as_deref(), "Whose messages?")?;
    let other = context.user(arguments.other.as_deref(), "With whom?")?;
    match arguments.limit {
        Some(limit) => newest(context, one, other, limit as usize),
        None => all(context, one, other),
    }
}

fn newest(context: &Context, one: User, other: User, limit: usize) -> anyhow::Result<()> {
    let messages = context.http.newest(Bearer::Admin, one.id, other.id, limit)?;
    if context.json {
        let mut array = JsonArray::default();
        messages.iter().try_for_each(|message| array.push(message))?;
        return Ok(array.end()?);
    }
    let lines = Lines::new(one, other);
    messages.iter().try_for_each(|message| lines.print(message))?;
    Ok(())
}

fn all(context: &Context, one: User, other: User) -> anyhow::Result<()> {
    let mut body = context.http.history_body(Bearer::Admin, one.id, other.id)?;
    if context.json {
        let mut out = io::stdout().lock();
        io::copy(&mut body, &mut out)?;
        writeln!(out)?;
        return Ok(out.flush()?);
    }
    Ok(print_array(body, Lines::new(one, other))?)
}

/// Prints the messages of a JSON array one by one.
fn print_array(body: impl Read, lines: Lines) -> io::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_reader(body);
    // serde_json keeps only the text of a foreign error; a closed pipe must stay one.
    let mut failed = None;
    let read = deserializer.deserialize_seq(Each {
        lines,
        failed: &mut failed,
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(read?),
    }
}

struct Each<'a> {
    lines: Lines,
    failed: &'a mut Option<io::Error>,
}

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<(), A::Error> {
        while let Some(message) = messages.next_element()? {
            if let Err(error) = self.lines.print(&message) {
                *self.failed = Some(error);
                return Err(A::Error::custom("the output ended"));
            }
        }
        Ok(())
    }
}

/// The columns: time, name, text.
struct Lines {
    one: User,
    other: User,
    width: usize,
}

impl Lines {
    fn new(mut one: User, mut other: User) -> Self {
        for user in [&mut one, &mut other] {
            user.username = output::one_line(&user.username);
        }
        let width = one.username.width().max(other.username.width());
        Self { one, other, width }
    }

    fn print(&self, message: &Message) -> io::Result<()> {
        let (style, name) = match message.sender {
            Some(id) if id == self.one.id => (ONE, self.one.username.as_str()),
            Some(id) if id == self.other.id => (OTHER, self.other.username.as_str()),
            _ => (output::DIM, "?"),
        };
        let line = output::message_line(message, style, &output::pad(name, self.width));
        writeln!(anstream::stdout(), "{line}")
    }
}
