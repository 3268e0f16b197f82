//! One file per command; what they share is here: the server, the output format, and who is meant by an argument.

mod admin;
mod chat;
mod check;
mod doctor;
mod history;
mod inbox;
mod rebuild;
mod seed;
mod token;
mod top;
mod trace;
mod users;
mod watch;

use std::process::ExitCode;
use std::sync::Arc;

use chatctl_client::http::Http;
use chatctl_client::token::Secret;
use chatctl_terminal::UsageError;
use chatctl_terminal::output::notify_database_away;
use shared::User;
use shared::settings::Settings;

use crate::cli::{Admin, Cli, Command, Seed, Token};
use crate::prompt;

/// What is said of several addresses where one is needed.
const TOO_MANY_SERVERS: &str = if cfg!(feature = "prove") {
    "only `prove`, `doctor`, `top`, `trace`, `admin connections` and `admin disconnect` take several servers"
} else {
    "name one server; only `doctor`, `top`, `trace`, `admin connections` and `admin disconnect` take several"
};

/// What every command gets.
#[derive(Debug)]
struct Context {
    http: Http,
    json: bool,
}

impl Context {
    /// Who is meant: the argument if there is one, else whom the user at the terminal chooses.
    fn user(&self, argument: Option<&str>, question: &str) -> anyhow::Result<User> {
        match argument {
            Some(name_or_id) => Ok(self.http.resolve(name_or_id)?),
            None => prompt::user(&self.http, question),
        }
    }
}

/// Runs the command that was asked for.
///
/// # Errors
/// What went wrong, as one line for people; [`UsageError`] if the command line was wrong.
pub(crate) fn run(cli: Cli, settings: &Settings) -> anyhow::Result<ExitCode> {
    if !prompt::possible() {
        complete(&cli.command)?;
    }
    let secret = match &cli.command {
        Command::Token(Token { check: Some(given), .. }) => return check::run(settings, given, cli.json),
        Command::Token(arguments) => token::secret(settings, arguments)?,
        _ => Secret::load(settings)?,
    };
    let secret = Arc::new(secret);
    let node = |url: &String| Http::new(url.clone(), Arc::clone(&secret));
    let mut nodes: Vec<Http> = cli.url.iter().map(node).collect();
    if !cli.admin_url.is_empty() {
        if cli.admin_url.len() != nodes.len() {
            let text = "--admin-url names as many addresses as --url, in the same order".to_owned();
            return Err(UsageError(text).into());
        }
        let places = cli.admin_url.iter().cloned();
        nodes = nodes
            .into_iter()
            .zip(places)
            .map(|(node, place)| node.administered_at(place))
            .collect();
    }
    let http = match &nodes[..] {
        [http] => http.clone(),
        [http, ..] if takes_several_servers(&cli.command) => http.clone(),
        _ => return Err(UsageError(TOO_MANY_SERVERS.to_owned()).into()),
    };
    let context = Context {
        http: if takes_several_servers(&cli.command) {
            // It says by itself how it goes, on a screen that is its own.
            http
        } else {
            http.with_notice(notify_database_away)
        },
        json: cli.json,
    };
    match cli.command {
        Command::Seed {
            what: Seed::Users {
                names,
                count,
                external_id,
            },
        } => seed::users(&context, count.map_or(names, seed::numbered), external_id.as_deref())?,
        Command::Token(arguments) => token::run(&context, &arguments)?,
        Command::Users => users::run(&context)?,
        Command::History(arguments) => history::run(&context, &arguments)?,
        Command::Chat(arguments) => return chat::run(&context, &arguments),
        Command::Inbox(arguments) => inbox::run(&context, &arguments)?,
        Command::Watch(arguments) => watch::run(&context, &arguments)?,
        Command::Rebuild => rebuild::run(&context)?,
        Command::Admin { what } => admin::run(&context, &nodes, &what)?,
        Command::Doctor(arguments) => return doctor::run(&context, &nodes, &arguments),
        Command::Top(arguments) => return top::run(&context, &nodes, &arguments),
        Command::Trace { name } => return trace::run(&context, &nodes, &name),
        #[cfg(feature = "bench")]
        Command::Bench { what } => return chatctl_bench::run(context.http, context.json, &what),
        #[cfg(feature = "prove")]
        Command::Prove(arguments) => return chatctl_prove::run(&nodes, context.json, &arguments),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a command works with several servers of one database.
fn takes_several_servers(command: &Command) -> bool {
    match command {
        #[cfg(feature = "prove")]
        Command::Prove(_) => true,
        Command::Doctor(_) | Command::Top(_) | Command::Trace { .. } => true,
        Command::Admin { what } => matches!(what, Admin::Connections { .. } | Admin::Disconnect { .. }),
        _ => false,
    }
}

/// Where nobody can be asked, everything must be said.
fn complete(command: &Command) -> Result<(), UsageError> {
    let missing = match command {
        Command::Token(token) if token.user.is_none() && !token.admin && token.check.is_none() => {
            "say whose: chatctl token <name or id>, or --admin alone for an administrator who is no user"
        }
        Command::History(history) if history.one.is_none() || history.other.is_none() => {
            "say between whom: chatctl history <user> <other>"
        }
        Command::Chat(chat) if chat.me.is_none() || chat.with.is_none() => {
            "say who you are and with whom you chat: chatctl chat --as <user> --with <user>"
        }
        Command::Inbox(inbox) if inbox.me.is_none() => "say whose: chatctl inbox --as <user>",
        Command::Watch(watch) if watch.me.is_none() => "say who watches: chatctl watch --as <user>",
        _ => return Ok(()),
    };
    Err(UsageError(missing.to_owned()))
}
