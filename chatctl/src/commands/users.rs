//! `chatctl users`: everybody, page by page.

use std::io::Write;

use chatctl_terminal::output::{self, JsonArray};
use unicode_width::UnicodeWidthStr;

use super::Context;

/// Prints all users, oldest first.
pub(super) fn run(context: &Context) -> anyhow::Result<()> {
    let mut array = JsonArray::default();
    let mut width = 0;
    let mut after = None;
    let mut none = true;
    loop {
        let page = context.http.users(after)?;
        none &= page.users.is_empty();
        let widest = page.users.iter().map(|user| user.username.width()).max();
        width = width.max(widest.unwrap_or(0));
        for user in &page.users {
            if context.json {
                array.push(user)?;
            } else {
                writeln!(anstream::stdout(), "{}", output::user_line(user, width))?;
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if context.json {
        array.end()?;
    } else if none {
        writeln!(
            anstream::stderr(),
            "there are no users yet: create some with `chatctl seed users`"
        )?;
    }
    Ok(())
}
