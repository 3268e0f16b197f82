//! The command line of the chat: users, tokens, history, and chatting itself.
//!
//! `chatctl` never opens the database: it speaks HTTP and Socket.IO to the server, as every client does. Only the
//! secret, with which it signs its own tokens, makes it an administrator.
//!
//! | module | what it owns |
//! |---|---|
//! | [`cli`] | the commands, their arguments and their help |
//! | [`commands`] | one file per command |
//! | [`chat`] | a conversation: what is sent, missed and shown, in a terminal or as JSON lines |
//! | [`names`] | what users are called |
//! | [`ticks`] | how far a message has come: stored, received, read |
//! | [`prompt`] | the questions asked where an argument is missing |
//!
//! The other parts are crates of their own, in folders beside this one:
//!
//! | crate | what it owns |
//! |---|---|
//! | [`chatctl_client`] | the server seen from here: HTTP, Socket.IO, tokens |
//! | [`chatctl_terminal`] | how things look, how arguments are read, Ctrl-C |
//! | `chatctl_bench` | load, and measuring what a server does with it; left out without the feature `bench` |
//! | `chatctl_prove` | the proof that a server keeps its promises while it is broken on purpose; left out without the feature `prove` |
//! | `chatctl_load` | what these two share |

mod chat;
mod cli;
mod commands;
mod names;
mod prompt;
mod ticks;

use std::io::{self, Write};
use std::process::ExitCode;

use chatctl_terminal::{UsageError, interrupt, output};
use shared::settings::{Settings, SettingsError};

use crate::cli::Cli;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let cli = Settings::read(&[]).and_then(|settings| Ok((settings.parse::<Cli>(&arguments)?, settings)));
    let (cli, settings) = match cli {
        Ok(read) => read,
        Err(SettingsError::Flags(error)) => error.exit(),
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::from(2);
        }
    };
    match commands::run(cli, &settings) {
        Ok(code) => code,
        // Whoever reads our output has had enough, as in `chatctl users | head -1`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<prompt::Interrupted>() => ExitCode::from(interrupt::EXIT_STATUS),
        Err(error) => {
            complain(&format!("{error:#}"));
            if error.is::<UsageError>() {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn complain(what: &str) {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    // The exit status says it, too, where standard error can't be written.
    let _ = writeln!(anstream::stderr(), "{style}error:{style:#} {}", output::one_line(what));
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
