//! `chatctl admin`: shutting users out, and looking at and ending their connections.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chatctl_client::ClientError;
use chatctl_client::http::Http;
use chatctl_terminal::output::{self, BAD, DIM, GOOD};
use shared::admin::{BanUser, ConnectionInfo, LogLevel, SetLogLevel, UserAccess, UserConnections};
use shared::{ErrorCode, Timestamp, User};
use unicode_width::UnicodeWidthStr;

use super::Context;
use crate::cli::Admin;

/// Does what was asked for. Connections are those to all of these nodes.
pub(super) fn run(context: &Context, nodes: &[Http], what: &Admin) -> anyhow::Result<()> {
    let http = &context.http;
    match what {
        Admin::Revoke { user } => {
            let user = http.resolve(user)?;
            show(context, &user, &http.revoke(user.id)?)
        }
        Admin::Ban {
            user,
            until,
            lasting,
            reason,
        } => {
            let user = http.resolve(user)?;
            let request = BanUser {
                until: until.or_else(|| lasting.map(after)),
                reason: reason.clone(),
            };
            show(context, &user, &http.ban(user.id, &request)?)
        }
        Admin::Unban { user } => {
            let user = http.resolve(user)?;
            show(context, &user, &http.unban(user.id)?)
        }
        Admin::Connections { user } => {
            let user = http.resolve(user)?;
            let found: Result<Vec<UserConnections>, ClientError> =
                nodes.iter().map(|node| node.connections(user.id)).collect();
            list(context, &user, &found?)
        }
        Admin::LogLevel { filter, lasting } => {
            let request = filter.as_ref().map(|filter| SetLogLevel {
                filter: filter.clone(),
                lasting: lasting.map(|time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1)),
            });
            let levels: Result<Vec<LogLevel>, ClientError> = nodes
                .iter()
                .map(|node| match &request {
                    Some(request) => node.set_log_level(request),
                    None => node.log_level(),
                })
                .collect();
            log_levels(context, &levels?)
        }
        Admin::Disconnect { id } => disconnect(context, nodes, id),
    }
}

/// The moment so long after now.
fn after(time: Duration) -> Timestamp {
    let then = SystemTime::now().checked_add(time).unwrap_or(UNIX_EPOCH);
    let millis = then.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// Says how it stands with a user now.
fn show(context: &Context, user: &User, access: &UserAccess) -> anyhow::Result<()> {
    if context.json {
        return Ok(output::json(access)?);
    }
    let mut out = anstream::stdout();
    let time = |at: Timestamp| output::local(at).strftime("%F %T").to_string();
    let name = output::one_line(&user.username);
    match &access.ban {
        Some(ban) => {
            let until = ban
                .until
                .map_or("for good".to_owned(), |until| format!("until {}", time(until)));
            let reason = ban.reason.as_deref().map(output::one_line);
            let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
            writeln!(out, "{BAD}banned{BAD:#}       {name}  {until}{reason}")?;
        }
        None => writeln!(out, "{GOOD}not banned{GOOD:#}   {name}")?,
    }
    if let Some(before) = access.revoked_before {
        writeln!(
            out,
            "{BAD}revoked{BAD:#}      {name}  tokens from before {}",
            time(before)
        )?;
    }
    Ok(())
}

/// Prints connections, a line for each.
fn list(context: &Context, user: &User, nodes: &[UserConnections]) -> anyhow::Result<()> {
    if context.json {
        return Ok(output::json(&nodes)?);
    }
    let mut out = anstream::stdout();
    let all = || nodes.iter().flat_map(|node| &node.connections);
    let widest = |text: fn(&ConnectionInfo) -> &str| all().map(|one| text(one).width()).max().unwrap_or(0);
    let (ids, addresses) = (widest(|one| &one.id), widest(|one| &one.address));
    let time = |at: Timestamp| output::local(at).strftime("%F %T").to_string();
    for node in nodes {
        writeln!(out, "{DIM}{}{DIM:#}", output::one_line(&node.node))?;
        for one in &node.connections {
            let last = match &one.last_event {
                Some(last) => format!("{} {}", output::one_line(&last.name), time(last.at)),
                None => "no event yet".to_owned(),
            };
            let agent = one.user_agent.as_deref().map(output::one_line).unwrap_or_default();
            writeln!(
                out,
                "{}  since {}  {}  {:9}  {last}  {DIM}{agent}{DIM:#}",
                output::pad(&one.id, ids),
                time(one.since),
                output::pad(&one.address, addresses),
                one.transport,
            )?;
        }
    }
    if all().next().is_none() {
        writeln!(
            anstream::stderr(),
            "{} has no connections",
            output::one_line(&user.username)
        )?;
    }
    Ok(())
}

/// Prints what each server logs, a line for each.
fn log_levels(context: &Context, levels: &[LogLevel]) -> anyhow::Result<()> {
    if context.json {
        return Ok(output::json(&levels)?);
    }
    let mut out = anstream::stdout();
    for level in levels {
        let filter = output::one_line(&level.filter);
        match level.until {
            Some(until) => {
                let until = output::local(until).strftime("%F %T");
                let then = output::one_line(&level.configured);
                writeln!(out, "{filter}  {DIM}until {until}, then {then}{DIM:#}")?;
            }
            None => writeln!(out, "{filter}")?,
        }
    }
    Ok(())
}

/// Ends a connection at the node that has it.
fn disconnect(context: &Context, nodes: &[Http], id: &str) -> anyhow::Result<()> {
    let mut missing = None;
    for node in nodes {
        match node.disconnect(id) {
            Ok(ended) if context.json => return Ok(output::json(&ended)?),
            Ok(ended) => {
                let id = output::one_line(&ended.id);
                return Ok(writeln!(anstream::stdout(), "{GOOD}disconnected{GOOD:#} {id}")?);
            }
            Err(ClientError::Answered(error)) if error.code == ErrorCode::NotFound => missing = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    let missing = missing.map(ClientError::from);
    missing.map_or(Ok(()), |error| Err(error.into()))
}
