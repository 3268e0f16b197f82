//! `send_message`: check, and queue to be stored. The answer comes from [`crate::delivery`], after the commit.

use shared::events::SendMessage;
use shared::{InvalidId, WireError};

use super::request::{Payload, Reply};
use super::text::LooseText;
use crate::app::App;
use crate::domain::{ClientMessageId, NewMessage, Text};
use crate::error;

/// Handles the event.
pub fn handle(mut reply: Reply, payload: Payload<'_>) {
    let request = match payload.decode::<SendMessage<String, LooseText>>() {
        Ok(request) => request,
        Err(error) => return reply.error(error),
    };
    reply.client_message_id.clone_from(&request.client_message_id);
    let app = std::sync::Arc::clone(&reply.session.app);
    let message = match check(&app, &reply, request) {
        Ok(message) => message,
        Err(error) => return reply.error(error),
    };
    if let Err((refused, reply)) = app.committer.submit(message, reply) {
        reply.error(error::refused(refused));
    }
}

fn check(app: &App, reply: &Reply, request: SendMessage<String, LooseText>) -> Result<NewMessage, WireError> {
    let receiver = request.receiver_id.parse();
    let receiver = receiver.map_err(|InvalidId| error::invalid_id("receiverId", &request.receiver_id))?;
    let text = Text::new(request.message.0, app.config.max_message_bytes as usize).map_err(error::invalid_text)?;
    let client_message_id = request.client_message_id.map(ClientMessageId::new).transpose();
    let client_message_id = client_message_id.map_err(error::invalid_client_message_id)?;
    let (created_at, id) = app.message_ids.next();
    let sender = reply.session.caller.user;
    Ok(NewMessage {
        id,
        sender,
        receiver,
        text,
        client_message_id,
        created_at,
    })
}
