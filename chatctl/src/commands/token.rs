//! `chatctl token`: a signed token on standard output, and nothing else.

use std::io::{Write, stdout};

use chatctl_client::token::{NOBODY, Secret, SecretError, server_settings};
use chatctl_terminal::output;
use jwt::{ClaimPath, Rules};
use serde_json::json;
use shared::UserId;
use shared::settings::Settings;

use super::Context;
use crate::cli::Token;

/// What signs: the key that the arguments name, else the secret.
pub(super) fn secret(settings: &Settings, arguments: &Token) -> Result<Secret, SecretError> {
    let secret = match &arguments.key {
        Some(path) => Secret::of_key(path, Rules::new(&server_settings(settings)?))?.naming(settings),
        None => Secret::load(settings)?,
    };
    match arguments.alg.is_some() || arguments.kid.is_some() {
        true => secret.with_head(arguments.alg.as_deref(), arguments.kid.clone()),
        false => Ok(secret),
    }
}

/// Prints a token of the user that the arguments name.
pub(super) fn run(context: &Context, arguments: &Token) -> anyhow::Result<()> {
    let user = whose(context, arguments)?;
    let secret = context.http.secret();
    let mut rules = secret.signer().rules().clone();
    if let Some(issuer) = &arguments.issuer {
        rules.issuers = vec![issuer.clone()];
    }
    if let Some(audience) = &arguments.audience {
        rules.audiences = vec![audience.clone()];
    }
    if let Some(claim) = &arguments.user_claim {
        rules.user = ClaimPath::new(claim);
    }
    let (mut claims, _) = rules.claims(&secret.name_of(user), arguments.admin, arguments.expires);
    claims.extend(arguments.claims.iter().cloned());
    let token = secret.signer().sign(&claims)?;
    if context.json {
        output::json(&json!({ "token": token, "userId": user, "exp": claims.get("exp") }))?;
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
