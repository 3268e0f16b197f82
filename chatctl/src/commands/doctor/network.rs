//! The way to a server: whether it can be reached, whether its clock is ours, and what a proxy does to WebSockets, polling, sessions
//! and CORS.

use std::time::{Duration, Instant, SystemTime};

use chatctl_client::http::Http;
use chatctl_client::probe::Probe;
use jiff::fmt::rfc2822;
use serde::Deserialize;

use super::finding::Finding;

/// How long the tokens of the probes hold.
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(300);

/// How far clocks may differ: times in HTTP are whole seconds, and tokens are made for whole seconds.
const GOOD_SKEW_SECONDS: f64 = 2.0;
/// From here on tokens are refused that were just made.
const BAD_SKEW_SECONDS: f64 = 30.0;

/// How soon an answer that the server gives at once must be here.
const PROMPT: Duration = Duration::from_secs(3);
/// How long after its time a ping may come.
const PING_GRACE: Duration = Duration::from_secs(8);
/// Sessions that are tried, each with two requests on connections of their own.
const SESSIONS: usize = 6;

/// What the server says of a session.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    sid: String,
    ping_interval: u64,
    upgrades: Vec<String>,
}

fn opened(body: &str) -> Option<Opened> {
    serde_json::from_str(body.strip_prefix('0')?).ok()
}

/// Whether the server answers, and whether its clock is ours.
pub(super) async fn reach(http: &Http) -> (Finding, Option<Finding>) {
    let before = SystemTime::now();
    let answer = Probe::default()
        .ask("GET", &format!("{}/healthz", http.url()), &[], None)
        .await;
    let answer = match answer {
        Ok(answer) if answer.status == 200 => answer,
        Ok(answer) => {
            let found = format!("{} answers {} to GET /healthz", http.url(), answer.status);
            let change =
                "is this the address of the server? A proxy must pass on all of its paths, below its BASE_PATH";
            return (Finding::bad("server", found, change), None);
        }
        Err(error) => {
            let change = "start the server, or name its address as --url";
            return (Finding::bad("server", format!("{}: {error}", http.url()), change), None);
        }
    };
    let reached = Finding::good(
        "server",
        format!("answers in {:.0} ms", answer.took.as_secs_f64() * 1e3),
    );
    (reached, Some(clock(answer.header("date"), before, answer.took)))
}

fn clock(date: Option<&str>, before: SystemTime, took: Duration) -> Finding {
    let parsed = date.and_then(|date| rfc2822::parse(date).ok());
    let Some(told) = parsed else {
        return Finding::open("clock", "the answer says no time");
    };
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64()
    };
    // The header is cut to whole seconds: half of one is missing in the middle.
    let told = told.timestamp().as_second() as f64 + 0.5;
    let skew = told - seconds(before + took / 2);
    let found = match skew {
        skew if skew.abs() <= GOOD_SKEW_SECONDS => "as here".to_owned(),
        skew if skew > 0.0 => format!("the server's is {skew:.0} s ahead of this machine's"),
        skew => format!("the server's is {:.0} s behind this machine's", -skew),
    };
    let change = "let both machines keep their time by NTP: tokens are refused that seem to be of the future or over";
    match skew.abs() {
        skew if skew <= GOOD_SKEW_SECONDS => Finding::good("clock", found),
        skew if skew < BAD_SKEW_SECONDS => Finding::doubt("clock", found, change),
        _ => Finding::bad("clock", found, change),
    }
}

/// Whether a WebSocket comes through; and with a token of somebody, whether it lives until the server's next ping.
pub(super) async fn websocket(socket_url: &str, token: Option<&str>) -> Vec<Finding> {
    let mut socket = match Probe::default().websocket(socket_url).await {
        Ok(socket) => socket,
        Err(error) => {
            let change = "let the proxy pass on upgrades: for nginx `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
                          proxy_set_header Connection \"upgrade\";`. Until then clients poll, which costs more";
            return vec![Finding::bad("WebSocket", error, change)];
        }
    };
    let mut findings = vec![Finding::good("WebSocket", "comes through")];
    let interval = opened(&socket.opened).map(|opened| Duration::from_millis(opened.ping_interval));
    let (Some(token), Some(interval)) = (token, interval) else {
        findings.push(Finding::open(
            "idle time",
            "not looked at: with --as USER a connection of that user waits for the server's first ping",
        ));
        return findings;
    };
    let begun = Instant::now();
    let waiting = async {
        socket.send(format!("40{{\"token\":\"{token}\"}}")).await?;
        loop {
            match socket.next().await?.as_str() {
                // The server may ping at once; what is looked at is the quiet time until the next one.
                "2" if begun.elapsed() > interval / 2 => return Ok(()),
                "2" => socket.send("3".to_owned()).await?,
                refused if refused.starts_with("44") => return Err(format!("the connection was refused: {refused}")),
                _ => {}
            }
        }
    };
    let waited = tokio::time::timeout(interval + PING_GRACE, waiting).await;
    let seconds = begun.elapsed().as_secs();
    let change = "let the proxy keep connections on which nothing is said for longer than 25 s: for nginx \
                  `proxy_read_timeout 60s`, for HAProxy `timeout tunnel 60s`";
    findings.push(match waited {
        Ok(Ok(())) => Finding::good("idle time", format!("a ping came after {seconds} s without a word")),
        Ok(Err(error)) => Finding::bad(
            "idle time",
            format!("the connection ended after {seconds} s: {error}"),
            change,
        ),
        Err(_) => Finding::bad("idle time", format!("no ping came within {seconds} s"), change),
    });
    findings
}

/// Whether polling works: that an answer which is waited for comes at once when there is something to say, and that both requests of
/// a session reach the server that has it.
pub(super) async fn polling(socket_url: &str) -> Vec<Finding> {
    let url = format!("{socket_url}?EIO=4&transport=polling");
    let (mut lost, mut slow, mut upgrades) = (0, None, true);
    for _ in 0..SESSIONS {
        match session(&url).await {
            Ok(Session { answered, can_upgrade }) => {
                upgrades &= can_upgrade;
                if answered > PROMPT {
                    slow = Some(answered);
                }
            }
            Err(PollingError::UnknownSession) => lost += 1,
            Err(PollingError::Other(error)) => {
                let change = "let the proxy pass on GET and POST below the path of Socket.IO, with their queries";
                return vec![Finding::bad("polling", error, change)];
            }
            Err(PollingError::Silent) => slow = Some(PROMPT),
        }
        if slow.is_some() {
            break;
        }
    }
    let mut findings = Vec::new();
    findings.push(match slow {
        None => Finding::good("polling", "answers come at once"),
        Some(_) => Finding::bad(
            "polling",
            format!("what the server said had not come after {} s", PROMPT.as_secs()),
            "let the proxy not hold back or gather answers: for nginx `proxy_buffering off;`",
        ),
    });
    findings.push(match lost {
        0 if slow.is_some() => Finding::open("sessions", "not looked at: polling does not work"),
        0 => Finding::good("sessions", format!("{SESSIONS} of {SESSIONS} stayed with their server")),
        lost => Finding::bad(
            "sessions",
            format!("{lost} of {SESSIONS} came to a server that does not know them"),
            "let the proxy send all requests of one client to one server: `ip_hash` of nginx, `balance source` or a cookie of HAProxy; \
             or let clients use WebSockets only",
        ),
    });
    if !upgrades {
        findings.push(Finding::open(
            "upgrade",
            "the server does not offer WebSockets to those who poll",
        ));
    }
    findings
}

struct Session {
    /// How long the answer took that was waited for.
    answered: Duration,
    can_upgrade: bool,
}

enum PollingError {
    UnknownSession,
    Silent,
    Other(String),
}

/// Opens a session, waits for news of it, and says something that the server answers at once: a token that is none. Each request is
/// on a connection of its own.
async fn session(url: &str) -> Result<Session, PollingError> {
    let probe = Probe::default();
    let open = probe.ask("GET", url, &[], None).await.map_err(PollingError::Other)?;
    let session = opened(&open.body)
        .ok_or_else(|| PollingError::Other(format!("status {} and no session: {:.100}", open.status, open.body)))?;
    let url = format!("{url}&sid={}", session.sid);
    let begun = Instant::now();
    let news = probe.ask("GET", &url, &[], None);
    let say = async {
        let headers = [("content-type", "text/plain;charset=UTF-8")];
        // The other request is to be there first, so that it is one that waits.
        tokio::time::sleep(Duration::from_millis(100)).await;
        probe
            .ask("POST", &url, &headers, Some("40{\"token\":\"\"}".to_owned()))
            .await
    };
    let both = tokio::time::timeout(PROMPT + Duration::from_secs(1), async { tokio::join!(news, say) }).await;
    let (news, said) = both.map_err(|_| PollingError::Silent)?;
    for answer in [said, news] {
        let answer = answer.map_err(PollingError::Other)?;
        match answer.status {
            200 => {}
            400 if answer.body.contains("Session ID unknown") => return Err(PollingError::UnknownSession),
            status => return Err(PollingError::Other(format!("status {status}: {:.100}", answer.body))),
        }
    }
    Ok(Session {
        answered: begun.elapsed(),
        can_upgrade: session.upgrades.iter().any(|upgrade| upgrade == "websocket"),
    })
}

/// Whether a browser at this origin may connect, and ask over HTTP.
pub(super) async fn cors(url: &str, socket_url: &str, origin: &str) -> Vec<Finding> {
    let places = [
        ("CORS", format!("{socket_url}?EIO=4&transport=polling"), "GET", ""),
        ("CORS of HTTP", format!("{url}/users/me"), "GET", "authorization"),
    ];
    let mut findings = Vec::new();
    for (what, place, method, header) in places {
        let mut headers = vec![("origin", origin), ("access-control-request-method", method)];
        if !header.is_empty() {
            headers.push(("access-control-request-headers", header));
        }
        let change = "add the origin to the server's CORS_ORIGINS, and let the proxy pass on OPTIONS and the headers that begin with \
                      access-control";
        findings.push(match Probe::default().ask("OPTIONS", &place, &headers, None).await {
            Err(error) => Finding::bad(what, error, change),
            Ok(answer) => match answer.header("access-control-allow-origin") {
                Some(allowed) if allowed == origin || allowed == "*" => {
                    Finding::good(what, format!("pages of {origin} are let in"))
                }
                Some(other) => Finding::bad(
                    what,
                    format!("pages of {other} are let in, those of {origin} are not"),
                    change,
                ),
                None => Finding::bad(
                    what,
                    format!("pages of {origin} are not let in (status {})", answer.status),
                    change,
                ),
            },
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Mark;
    use super::*;

    #[test]
    fn clocks_are_compared() {
        let here = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_773_600);
        for (date, mark, words) in [
            (Some("Fri, 27 Nov 2026 10:00:00 GMT"), Mark::Good, "as here"),
            (Some("Fri, 27 Nov 2026 10:00:10 GMT"), Mark::Doubt, "ahead"),
            (Some("Fri, 27 Nov 2026 09:50:00 GMT"), Mark::Bad, "600 s behind"),
            (Some("soon"), Mark::Open, "no time"),
            (None, Mark::Open, "no time"),
        ] {
            let finding = clock(date, here, Duration::from_millis(2));
            assert!(
                finding.mark == mark && finding.found.contains(words),
                "{date:?}: {finding:?}"
            );
        }
    }
}
