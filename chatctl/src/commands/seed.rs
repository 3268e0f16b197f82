//! `chatctl seed`: users to try the chat with.

use std::io::{Write, stdout};

use chatctl_terminal::UsageError;
use chatctl_terminal::output::{self, DIM, GOOD, JsonArray};
use indicatif::{ProgressBar, ProgressStyle};
use shared::limits::USERS_PER_REQUEST;
use unicode_width::UnicodeWidthStr;

use super::Context;

/// Creates the users of these names, and prints each with its id. If there is one, it can have an id of another system.
pub(super) fn users(context: &Context, names: Vec<String>, external_id: Option<&str>) -> anyhow::Result<()> {
    if external_id.is_some() && names.len() != 1 {
        return Err(UsageError("--external-id is of one user: name that one".to_owned()).into());
    }
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let bar = progress(names.len());
    let mut array = JsonArray::default();
    for batch in names.chunks(USERS_PER_REQUEST) {
        let created = match external_id {
            Some(id) => {
                let users = batch.iter().map(|name| (name.clone(), id.to_owned()));
                context.http.create_external_users(users)?
            }
            None => context.http.create_users(batch)?,
        };
        bar.suspend(|| -> anyhow::Result<()> {
            let mut out = anstream::stdout().lock();
            for user in &created {
                if context.json {
                    array.push(user)?;
                    continue;
                }
                let (style, what) = if user.created {
                    (GOOD, "created")
                } else {
                    (DIM, "exists")
                };
                let name = output::pad(&output::one_line(&user.user.username), width);
                writeln!(out, "{name}  {}  {style}{what}{style:#}", user.user.id)?;
            }
            Ok(())
        })?;
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    if context.json {
        array.end()?;
    }
    stdout().flush()?;
    Ok(())
}

/// As many names.
pub(super) fn numbered(count: u32) -> Vec<String> {
    let digits = count.to_string().len().max(4);
    (1..=count).map(|number| format!("user{number:0digits$}")).collect()
}

/// A bar on standard error, if there is more than one request to wait for and a terminal to show it.
fn progress(names: usize) -> ProgressBar {
    if names <= USERS_PER_REQUEST {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} users, {eta} left").expect("the template is sound");
    ProgressBar::new(names as u64).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_as_text() {
        assert_eq!(numbered(2), ["user0001", "user0002"]);
        assert_eq!(numbered(12_345)[0], "user00001");
    }
}
