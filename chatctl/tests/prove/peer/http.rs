//! The HTTP side of a peer: one request a connection, read by hand.

use serde_json::{Value, json};
use shared::UserId;
use shared::limits::DEFAULT_PAGE;
use shared::presence::CurrentSettings;
use shared::user::CreateUsers;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Peers, bearer};

/// Answers a request. `None` if it was broken off.
pub(super) async fn serve(mut stream: TcpStream, peers: &Peers) -> Option<()> {
    let mut request = Vec::new();
    let head = loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        (stream.read_buf(&mut request).await.ok()? > 0).then_some(())?;
    };
    let text = String::from_utf8(request[..head].to_vec()).ok()?;
    let header = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap_or(0));
    while request.len() < head + length {
        (stream.read_buf(&mut request).await.ok()? > 0).then_some(())?;
    }
    let target = text.split(' ').nth(1)?;
    let token = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let user = token.and_then(bearer);
    let (status, body) = match user.and_then(|user| answer(peers, user, target, &request[head..])) {
        Some(body) => ("200 OK", body),
        None => {
            let error = json!({"error": {"code": "not_found", "message": target}});
            ("404 Not Found", error)
        }
    };
    let body = body.to_string();
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await.ok()
}

fn answer(peers: &Peers, user: UserId, target: &str, body: &[u8]) -> Option<Value> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let number = |name: &str| {
        let mut parameters = query.split('&').filter_map(|parameter| parameter.split_once('='));
        parameters
            .find(|(found, _)| *found == name)
            .and_then(|(_, value)| value.parse().ok())
    };
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let mut peers = peers.lock().expect("nobody panics with it");
    let value = match parts[..] {
        ["users"] => {
            let names: CreateUsers = serde_json::from_slice(body).ok()?;
            peers.world.create(&names.usernames?)
        }
        ["users", "me", "settings"] => {
            let settings = peers.world.settings.get(&user).copied().unwrap_or_default();
            serde_json::to_value(CurrentSettings { settings }).ok()?
        }
        ["users", id] => {
            let id: UserId = id.parse().ok()?;
            let invisible = peers.world.settings.get(&id).is_some_and(|settings| settings.invisible);
            json!({"_id": id, "username": "somebody", "isOnline": peers.is_connected(id) && !invisible})
        }
        ["chat", "history", one, other] => {
            serde_json::to_value(peers.world.history(one.parse().ok()?, other.parse().ok()?)).ok()?
        }
        ["chat", "conversations"] => {
            let limit = number("limit").unwrap_or(DEFAULT_PAGE);
            serde_json::to_value(peers.world.inbox(user, number("cursor").unwrap_or(0), limit)).ok()?
        }
        _ => return None,
    };
    Some(value)
}
