//! Fuzz targets of this module: events and handshakes.

use axum::http::{HeaderMap, HeaderValue, Uri, header};
use serde::de::DeserializeOwned;
use shared::conversation::{ListConversations, MarkUpTo};
use shared::events::{self, SendMessage};
use shared::presence::{PresenceOf, SetTyping};
use shared::sync::SyncRequest;
use shared::{ErrorCode, SettingsChange};

use super::handshake::Handshake;
use super::request::{Packet, Payload};
use super::text::LooseText;

/// Longest message of an error: more of what a client sent is not repeated.
const ERROR_BYTES: usize = 1_024;

/// An event as the library hands it on: `["name", payload, …]`.
pub fn events(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let packet: Packet<'_> = serde_json::from_str(text).unwrap_or_default();
    let payload = Payload(packet.payload);
    match &*packet.event {
        events::SEND_MESSAGE => decode::<SendMessage<String, LooseText>>(&payload),
        events::MARK_READ | events::MARK_DELIVERED => decode::<MarkUpTo<String, String>>(&payload),
        events::SYNC => decode::<SyncRequest>(&payload),
        events::CONVERSATIONS => decode::<ListConversations>(&payload),
        events::SUBSCRIBE_PRESENCE | events::UNSUBSCRIBE_PRESENCE => decode::<PresenceOf<String>>(&payload),
        events::TYPING => decode::<SetTyping<String>>(&payload),
        _ => decode::<SettingsChange>(&payload),
    }
}

fn decode<T: DeserializeOwned>(payload: &Payload<'_>) {
    if let Err(error) = payload.decode::<T>() {
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert!(error.message.len() <= ERROR_BYTES, "{} bytes", error.message.len());
    }
}

/// What a client brings when it connects: its `auth` as JSON, the header `Authorization` and the address, a line each.
pub fn handshakes(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let handshake: Handshake = serde_json::from_slice(line()).unwrap_or_default();
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(line()) {
        headers.insert(header::AUTHORIZATION, value);
    }
    let address = Uri::try_from(line()).unwrap_or_default();
    for allow_query in [false, true] {
        if let Ok(token) = handshake.token(&headers, &address, allow_query) {
            assert!(!token.is_empty() && token.trim() == token, "{token:?}");
        }
    }
    let _ = handshake.since();
}
