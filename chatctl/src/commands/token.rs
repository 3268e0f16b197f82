//! `chatctl token`: a signed token on standard output, and nothing else.

use std::io::{Write, stdout};

use chatctl_client::token::NOBODY;
use chatctl_terminal::output;
use serde_json::json;
use shared::{Role, UserId};

use super::Context;
use crate::cli::Token;

/// Prints a token of the user that the arguments name.
pub(super) fn run(context: &Context, arguments: &Token) -> anyhow::Result<()> {
    let user = whose(context, arguments)?;
    let role = arguments.admin.then_some(Role::Admin);
    let (token, exp) = context.http.secret().sign(user, role, arguments.expires);
    if context.json {
        output::json(&json!({ "token": token, "userId": user, "exp": exp }))?;
    } else {
        writeln!(stdout(), "{token}")?;
    }
    Ok(())
}

fn whose(context: &Context, arguments: &Token) -> anyhow::Result<UserId> {
    match &arguments.user {
        None if arguments.admin => Ok(NOBODY),
        // It may be a name that looks like one. Where no server can be asked it is an id.
        Some(text) if let Ok(id) = text.parse() => Ok(context.http.resolve(text).map_or(id, |user| user.id)),
        user => Ok(context.user(user.as_deref(), "Whose token?")?.id),
    }
}
