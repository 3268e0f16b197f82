//! What a message costs in the Socket.IO library alone: an acknowledgement and an emit to the receiver's room, with
//! no token, no store and no limit. The reference that `BENCHMARKS.md` compares the server to.
//!
//! `cargo run --release -p server --example bare_echo -- PORT`; any token is taken as the name of the user's room: its
//! middle part must be the JSON `{"userId": "…"}` in base64url, as in a JWT.

use serde_json::{Value, json};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port: u16 = std::env::args().nth(1).unwrap_or_default().parse()?;
    let (layer, io) = SocketIo::builder().max_buffer_size(4_096).build_layer();
    io.ns("/", async |socket: SocketRef, Data(auth): Data<Value>| {
        let token = auth["token"].as_str().unwrap_or_default();
        let Some(user) = user_of(token) else { return };
        socket.join(user.clone());
        let sender = user;
        socket.on(
            "send_message",
            move |io: SocketIo, Data(request): Data<Value>, ack: AckSender| {
                let message = json!({
                    "_id": "000000000000000000000000", "sender": sender, "receiver": request["receiverId"],
                    "message": request["message"], "createdAt": "2026-11-23T10:03:42.886Z",
                    "updatedAt": "2026-11-23T10:03:42.886Z", "__v": 0,
                });
                async move {
                    let receiver = message["receiver"].as_str().unwrap_or_default().to_owned();
                    // Whoever is gone needs neither.
                    let _ = ack.send(&json!({"ok": true, "message": message, "duplicate": false}));
                    let _ = io
                        .to(receiver.clone())
                        .emit(format!("receive_message_{receiver}"), &message)
                        .await;
                }
            },
        );
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("Server running on port {port}");
    axum::serve(listener, axum::Router::new().layer(layer)).await?;
    Ok(())
}

fn user_of(token: &str) -> Option<String> {
    use base64::Engine;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1)?)
        .ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims["userId"].as_str().map(str::to_owned)
}
