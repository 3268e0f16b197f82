//! The document of the socket events: AsyncAPI 3, a channel for each event, acknowledgements as replies.

mod connecting;
mod from_client;
mod from_server;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};
use shared::sync::Resume;
use shared::{ErrorCode, PROTOCOL_VERSION};

use super::payload::Payload;
use super::schemas::Schemas;

/// An event that a client sends, with its answer.
struct Request {
    event: &'static str,
    summary: &'static str,
    payload: Payload,
    answer: Payload,
    /// The codes of its errors beside [`from_client::ALWAYS`].
    codes: &'static [ErrorCode],
}

/// An event that the server sends.
struct Event {
    /// Its name in the document.
    event: &'static str,
    /// What it is called where that is not its name: `{…}` stands for a parameter.
    address: Option<&'static str>,
    summary: &'static str,
    payload: Payload,
    /// Whether it has a cursor as its second argument on a connection that has caught up.
    has_cursor: bool,
}

const INTRODUCTION: &str = "\
The events of a one-to-one chat server over Socket.IO 4 (Engine.IO 4; polling and WebSocket; namespace `/`, default parser). \
`PROTOCOL.md` is the same in prose; `openapi.json` has what is asked over HTTP.

The application of this document is the server: it *receives* what clients send, and *sends* what they listen to. Each channel is \
one event, and its address is the event's name. A payload is the event's first argument. What this document has as the headers of a \
message is the second argument of the event, which is there on a connection that has caught up.

The reply of an operation is the acknowledgement (`emitWithAck`): the server answers every event exactly once. A client that asks for \
none receives failures as `request_failed`. New events, fields and error codes are added within a version: ignore what you do not know.";

/// The document.
pub(super) fn document() -> Value {
    let mut document = Document {
        schemas: Schemas::draft_7(),
        channels: Map::new(),
        operations: Map::new(),
        messages: Map::new(),
    };
    document.connecting();
    from_client::requests()
        .into_iter()
        .for_each(|request| document.request(request));
    from_server::events()
        .into_iter()
        .for_each(|event| document.event(event));
    document.finish()
}

struct Document {
    schemas: Schemas,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
}

impl Document {
    /// Adds a message to a channel, under a name of its own in the document, and answers the reference to it.
    fn message(
        &mut self,
        (channel, role): (&str, &str),
        name: &str,
        title: &str,
        payload: &Payload,
        has_cursor: bool,
    ) -> Value {
        let mut message = json!({
            "name": channel,
            "title": title,
            "contentType": "application/json",
            "payload": payload.schema(&mut self.schemas),
            "examples": [{"payload": payload.example}],
        });
        if has_cursor {
            message["headers"] = self.schemas.answered::<Resume>();
        }
        let other = self.messages.insert(name.to_owned(), message);
        assert!(other.is_none(), "two messages are called {name}");
        let channels = self
            .channels
            .entry(channel)
            .or_insert_with(|| json!({"address": channel, "messages": {}}));
        channels["messages"][role] = json!({"$ref": format!("#/components/messages/{name}")});
        json!({"$ref": format!("#/channels/{channel}/messages/{role}")})
    }

    fn request(&mut self, request: Request) {
        let Request {
            event,
            summary,
            payload,
            answer,
            codes,
        } = request;
        let asked = self.message((event, "request"), event, summary, &payload, false);
        let name = format!("{event}_answer");
        let answered = self.message((event, "answer"), &name, "The acknowledgement", &answer, false);
        let codes: Vec<&str> = codes
            .iter()
            .chain(from_client::ALWAYS)
            .map(|code| code.as_str())
            .collect();
        let operation = json!({
            "action": "receive",
            "summary": summary,
            "channel": {"$ref": format!("#/channels/{event}")},
            "messages": [asked],
            "reply": {"channel": {"$ref": format!("#/channels/{event}")}, "messages": [answered]},
            "x-error-codes": codes,
        });
        self.operations.insert(event.to_owned(), operation);
    }

    fn event(&mut self, one: Event) {
        let Event {
            event,
            address,
            summary,
            payload,
            has_cursor,
        } = one;
        let name = match self.messages.contains_key(event) {
            true => format!("{event}_event"),
            false => event.to_owned(),
        };
        let sent = self.message((event, "event"), &name, summary, &payload, has_cursor);
        if let Some(address) = address {
            self.channels[event]["address"] = address.into();
            self.channels[event]["parameters"] = json!({
                "userId": {"description": "The receiver's own id, in lower case: `GET /users/me` answers it."},
            });
        }
        let operation = json!({
            "action": "send",
            "summary": summary,
            "channel": {"$ref": format!("#/channels/{event}")},
            "messages": [sent],
        });
        self.operations.insert(format!("emit_{event}"), operation);
    }

    fn finish(self) -> Value {
        json!({
            "asyncapi": "3.0.0",
            "info": {
                "title": "Chat: events",
                "version": PROTOCOL_VERSION.to_string(),
                "description": INTRODUCTION,
                "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
            },
            "defaultContentType": "application/json",
            "servers": {
                "local": {
                    "host": "127.0.0.1:5000",
                    "pathname": "/socket.io/",
                    "protocol": "ws",
                    "protocolVersion": "Socket.IO 4, Engine.IO 4",
                    "description": "A server with default settings on this machine.",
                    "security": [{"$ref": "#/components/securitySchemes/token"}],
                },
            },
            "channels": self.channels,
            "operations": self.operations,
            "components": {
                "messages": self.messages,
                "schemas": self.schemas.into_components(),
                "securitySchemes": {
                    "token": {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "JWT",
                        "description": "In the handshake's `auth` as `token`, or as its header `Authorization`.",
                    },
                },
            },
        })
    }
}
