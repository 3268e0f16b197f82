//! `chatctl chat`: in a terminal for people, as JSON lines for scripts.

use std::io::{IsTerminal, stdin, stdout};
use std::process::ExitCode;
use std::time::Duration;

use chatctl_terminal::UsageError;

use super::Context;
use crate::chat::driver::{AfterInput, ChatOptions};
use crate::chat::{lines, terminal};
use crate::cli::Chat;

/// How long a person who leaves waits for what is not acknowledged.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Chats as the user that the arguments name.
pub(super) fn run(context: &Context, arguments: &Chat) -> anyhow::Result<ExitCode> {
    let for_people = !context.json && stdin().is_terminal() && stdout().is_terminal();
    if for_people && (arguments.stay || arguments.wait.is_some() || arguments.mark_read) {
        let hint = "--stay, --wait and --mark-read are for scripts: with a terminal the chat lasts until /quit";
        return Err(UsageError(hint.to_owned()).into());
    }
    let me = context.user(arguments.me.as_deref(), "Who are you?")?;
    let peer = context.user(arguments.with.as_deref(), "With whom?")?;
    let mut setup = ChatOptions {
        socket: context.http.socket_url()?,
        // From here on the screen is the chat's.
        http: context.http.clone().without_notice(),
        me: me.id,
        peer: peer.id,
        attended: for_people || arguments.mark_read,
        then: AfterInput::Leave,
        grace: LEAVE_TIMEOUT,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = if for_people {
        runtime.block_on(terminal::run(setup, me, peer))
    } else {
        setup.grace = lines::ACKNOWLEDGEMENT_TIMEOUT;
        setup.then = match arguments.wait {
            Some(duration) => AfterInput::Listen(duration),
            None if arguments.stay => AfterInput::Stay,
            None => AfterInput::Leave,
        };
        runtime.block_on(lines::run(setup))
    };
    // A request that hangs must not hold up the end.
    runtime.shutdown_background();
    let outcome = outcome?;
    anyhow::ensure!(
        outcome.unacknowledged == 0,
        "{} not acknowledged; only the first of them can have been stored",
        count(outcome.unacknowledged, "message was", "messages were")
    );
    anyhow::ensure!(
        for_people || outcome.refused == 0,
        "{} refused: see the error events",
        count(outcome.refused, "message was", "messages were")
    );
    Ok(ExitCode::SUCCESS)
}

fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
