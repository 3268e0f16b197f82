//! Questions, asked at a terminal where an argument is missing.

use std::io::{self, IsTerminal, stderr, stdin};

use anyhow::Context as _;
use chatctl_client::ClientError;
use chatctl_client::http::Http;
use chatctl_terminal::interrupt::Question;
use chatctl_terminal::output;
use dialoguer::FuzzySelect;
use dialoguer::console::Term;
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use shared::User;
use unicode_width::UnicodeWidthStr;

/// More users than this are not offered; a name can be typed as an argument.
const MAX_CHOICES: usize = 2_000;

/// Whether there is somebody to ask.
pub(crate) fn possible() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Asks for one of the server's users. The question stands on standard error.
pub(crate) fn user(http: &Http, question: &str) -> anyhow::Result<User> {
    let mut users = all(http)?;
    anyhow::ensure!(
        !users.is_empty(),
        "there are no users yet: create some with `chatctl seed users`"
    );
    let width = users.iter().map(|user| user.username.width()).max().unwrap_or(0);
    let items: Vec<String> = users
        .iter()
        .map(|user| {
            let name = output::pad(&output::one_line(&user.username), width);
            format!("{} {name}  {}", output::presence(user.is_online).1, user.id)
        })
        .collect();
    let colours = console_colours();
    let theme: &dyn Theme = if colours {
        &ColorfulTheme::default()
    } else {
        &SimpleTheme
    };
    let asked = Question::begin();
    let select = FuzzySelect::with_theme(theme)
        .with_prompt(question)
        .items(&items)
        .default(0)
        .max_length(12);
    let chosen = match select.interact_opt() {
        Err(dialoguer::Error::IO(error)) if error.kind() == io::ErrorKind::Interrupted => {
            asked.interrupted();
            // It was hidden for the question.
            let _ = Term::stderr().show_cursor();
            return Err(Interrupted.into());
        }
        chosen => chosen.context("the question could not be asked")?,
    };
    Ok(users.swap_remove(chosen.context("nobody was chosen")?))
}

/// Ctrl-C was the answer.
#[derive(Debug, thiserror::Error)]
#[error("nobody was chosen")]
pub(crate) struct Interrupted;

fn console_colours() -> bool {
    anstream::AutoStream::choice(&stderr()) != anstream::ColorChoice::Never
}

/// Users to choose from, those who are there first.
fn all(http: &Http) -> Result<Vec<User>, ClientError> {
    let mut users: Vec<User> = Vec::new();
    let mut after = None;
    while users.len() < MAX_CHOICES {
        let mut page = http.users(after)?;
        users.append(&mut page.users);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    users.sort_by_key(|user| !user.is_online);
    Ok(users)
}
