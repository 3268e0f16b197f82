//! `send_message`: decode, and hand on. [`crate::chat`] answers once the message is stored.

use std::sync::Arc;

use shared::events::SendMessage;

use super::named::with_user;
use super::reply::Reply;
use super::request::Payload;
use super::text::LooseText;
use crate::chat::send::SendRequest;
use crate::error;
use crate::transport::context::Context;

/// Handles the event.
pub fn handle(context: &Arc<Context>, mut reply: Reply, payload: Payload<'_>) {
    let request = match payload.decode::<SendMessage<String, LooseText>>() {
        Ok(request) => request,
        Err(error) => return reply.error(error),
    };
    reply.hint(|hints, socket, asks| {
        let id = request.client_message_id.as_deref();
        hints.look_at_message(socket, asks, &request.receiver_id, &request.message.0, id);
    });
    reply.client_message_id.clone_from(&request.client_message_id);
    if let Err(refused) = context.rates.count_bytes(&reply.session.rates, request.message.0.len()) {
        return reply.error(error::quota_exceeded(&refused));
    }
    let (text, client_message_id) = (request.message.0, request.client_message_id);
    let named = ("receiverId", &*request.receiver_id);
    with_user(context, reply, named, move |context, reply, receiver| {
        let sender = reply.session.user;
        let request = SendRequest {
            receiver,
            text,
            client_message_id,
        };
        context.chat.send(sender, request, reply);
    });
}
