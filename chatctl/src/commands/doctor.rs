//! `chatctl doctor`: looks at a server and at what is before it, and says what is wrong and what to change.
//!
//! | module | what it owns |
//! |---|---|
//! | [`finding`] | one line of what was looked at |
//! | [`itself`] | what the server tells of itself |
//! | [`network`] | the way to it: clock, WebSocket, polling, sessions, CORS |

mod finding;
mod itself;
mod network;

use std::io::{self, Write};
use std::process::ExitCode;

use chatctl_client::ClientError;
use chatctl_client::http::{Bearer, Http};
use chatctl_terminal::output::{self, BAD, DIM, GOOD, NEW};
use jwt::fetch::Fetcher;
use serde::Serialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use self::finding::{Finding, Mark};
use super::Context;
use crate::cli::Doctor;

/// What was found at one address.
#[derive(Debug, Serialize)]
struct Report {
    url: String,
    findings: Vec<Finding>,
}

/// Looks at all of these servers. The exit status is 1 if anything is wrong.
pub(super) fn run(context: &Context, nodes: &[Http], arguments: &Doctor) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut reports = Vec::new();
    for http in nodes {
        let report = Report {
            url: http.url().to_owned(),
            findings: runtime.block_on(examine(http, arguments)),
        };
        if !context.json {
            print(&report)?;
        }
        reports.push(report);
    }
    if context.json {
        output::json(&reports)?;
    }
    let is_bad = reports
        .iter()
        .flat_map(|report| &report.findings)
        .any(|finding| finding.mark == Mark::Bad);
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(http: &Http, arguments: &Doctor) -> Vec<Finding> {
    let (reached, clock) = network::reach(http).await;
    let is_there = reached.mark != Mark::Bad;
    let mut findings = vec![reached];
    if !is_there {
        return findings;
    }
    findings.extend(clock);
    findings.push(secret(http));
    match http.diagnosis() {
        Ok(diagnosis) => {
            findings.push(Finding::good("administration", format!("{} answers", http.admin_url())));
            findings.extend(itself::findings(&diagnosis));
            findings.extend(provider(diagnosis.tokens.provider.as_deref(), diagnosis.tokens.provider_keys).await);
        }
        // The line before says why.
        Err(ClientError::Unauthorized { .. }) => {
            findings.push(Finding::open("administration", "it takes no token of this program"));
        }
        Err(error) => findings.push(Finding::bad(
            "administration",
            error.to_string(),
            "name the place of the server's ADMIN_LISTEN as --admin-url, or ask on its machine: without it nothing is known of its \
             store, files and keys",
        )),
    }
    let socket_url = match http.socket_url() {
        Ok(socket_url) => socket_url,
        Err(error) => {
            let advice = "let the proxy pass on all paths of the server, or set its BASE_PATH or SOCKET_PATH";
            findings.push(Finding::bad("Socket.IO", error.to_string(), advice));
            return findings;
        }
    };
    let token = match &arguments.user {
        Some(name) => match http.resolve(name) {
            Ok(user) => Some(http.secret().sign(user.id, None, network::TOKEN_LIFETIME).0),
            Err(error) => {
                let finding = Finding::bad("user", error.to_string(), "name somebody who exists with --as");
                findings.push(finding);
                None
            }
        },
        None => None,
    };
    findings.extend(network::websocket(&socket_url, token.as_deref()).await);
    findings.extend(network::polling(&socket_url).await);
    if let Some(origin) = &arguments.origin {
        findings.extend(network::cors(http.url(), &socket_url, origin).await);
    }
    findings
}

/// Whether a token of ours is taken.
fn secret(http: &Http) -> Finding {
    let asked: Result<Value, ClientError> = http.get(Bearer::Admin, "/users", &[("limit", "1".to_owned())]);
    match asked {
        Ok(_) => Finding::good("secret", format!("a token of {} is taken", http.secret().origin())),
        Err(ClientError::Unauthorized { reason, origin, .. }) => Finding::bad(
            "secret",
            format!("a token of {origin} is refused{reason}"),
            "give this program the secret that the server was started with: JWT_SECRET, JWT_SECRET_FILE or its DATA_DIR; and set the \
             clock of both machines",
        ),
        Err(error) => Finding::bad(
            "secret",
            error.to_string(),
            "see what the server's log says of the request",
        ),
    }
}

/// Whether the key set of the provider can be fetched from here, and whether the server has it.
async fn provider(url: Option<&str>, known: Option<u32>) -> Vec<Finding> {
    let Some(url) = url else { return Vec::new() };
    let has = match known {
        Some(0) => Finding::bad(
            "provider",
            format!("the key set of {url} has no key that the server can use"),
            "have the provider publish keys of RS256, ES256, EdDSA or their likes",
        ),
        Some(count) => Finding::good("provider", format!("the server has {count} keys of {url}")),
        None => Finding::bad(
            "provider",
            format!("the server could not fetch {url}"),
            "let the server's machine reach it; JWT_JWKS_ALLOW_PRIVATE=true if it is at an address of your own network",
        ),
    };
    let mut findings = vec![has];
    if url.starts_with("https://") {
        let fetched = match Fetcher::new(url, true) {
            Ok(fetcher) => fetcher
                .fetch()
                .await
                .map(|set| set.keys.len())
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        findings.push(match fetched {
            Ok(count) => Finding::good("provider here", format!("{count} keys can be fetched from here")),
            Err(error) => Finding::doubt(
                "provider here",
                format!("its key set can't be fetched from here: {error}"),
                "nothing, if only the server can reach the provider",
            ),
        });
    }
    findings
}

fn print(report: &Report) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{DIM}{}{DIM:#}", output::one_line(&report.url))?;
    let widest = report
        .findings
        .iter()
        .map(|finding| finding.what.width())
        .max()
        .unwrap_or(0);
    for finding in &report.findings {
        let (style, sign) = match finding.mark {
            Mark::Good => (GOOD, '✓'),
            Mark::Doubt => (NEW, '!'),
            Mark::Bad => (BAD, '✗'),
            Mark::Open => (DIM, '·'),
        };
        let what = output::pad(finding.what, widest);
        writeln!(
            out,
            "{style}{sign}{style:#} {what}  {}",
            output::one_line(&finding.found)
        )?;
        if let Some(advice) = &finding.change {
            writeln!(out, "  {}  {DIM}→ {advice}{DIM:#}", " ".repeat(widest))?;
        }
    }
    out.flush()
}
