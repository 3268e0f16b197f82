//! How a client is let in: what its handshake has, and why it is refused.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use shared::events::ConnectError;

use super::super::payload::Payload;
use super::Document;

/// The `auth` of a client that connects. Other fields are ignored.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "the schema of what `Handshake` reads, of whatever type it is")]
struct ConnectAuth {
    /// The token, a JWT. It can be in the handshake's header `Authorization` instead.
    token: Option<String>,
    /// The last cursor that the client was given, or `""` to begin: the client is sent what it missed, then `sync_done`. Without
    /// it, it is sent what happens from now on, without cursors.
    since: Option<String>,
}

impl Document {
    /// Adds the handshake.
    pub(super) fn connecting(&mut self) {
        let auth =
            Payload::asked::<ConnectAuth>(json!({"token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", "since": ""}));
        let auth = self.message(
            ("connect", "auth"),
            "connect",
            "The `auth` of the handshake",
            &auth,
            false,
        );
        let refused = Payload::answered::<ConnectError>(json!({
            "message": "Authentication error",
            "data": {"code": "token_expired", "message": "the token is not accepted: it has expired"},
        }));
        let title = "Why a client is not let in: what stock clients give to `connect_error`";
        let refused = self.message(("connect", "refused"), "connect_error", title, &refused, false);
        self.channels["connect"]["address"] = "/".into();
        self.channels["connect"]["description"] = "The namespace. A client joins it with its token.".into();
        let operation = json!({
            "action": "receive",
            "summary": "Connect. A client that is let in gets the library's `connect`; one that is not gets `connect_error`.",
            "channel": {"$ref": "#/channels/connect"},
            "messages": [auth],
            "reply": {"channel": {"$ref": "#/channels/connect"}, "messages": [refused]},
            "x-error-codes": [
                "token_invalid", "token_expired", "user_unknown", "token_revoked", "banned", "too_many_connections",
                "rate_limited", "store_unavailable", "invalid_namespace", "internal",
            ],
        });
        self.operations.insert("connect".to_owned(), operation);
    }
}
