//! A small server that speaks section 1 of the contract only, without `POST /users`, in the manner asked for. Servers
//! that lose messages can't be had otherwise.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};
use shared::Claims;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;

/// What signs its tokens.
pub(crate) const SECRET: &str = "a secret of the peer that is 32 bytes long or more";

/// How a peer treats messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should.
    Good,
    /// Without acknowledgements, and everyone hears everything, as the replaced program did.
    Broadcasting,
    /// It acknowledges every tenth message of a user, but doesn't deliver it.
    Dropping,
    /// It delivers every tenth twice.
    Doubling,
    /// It delivers every tenth after the next one.
    Swapping,
    /// It doesn't answer every tenth.
    Silent,
    /// It refuses every tenth for a moment.
    Busy,
    /// It stores the first ten of each user, and then has no room any more.
    Full,
    /// It says that it created the users, and names none of them.
    Forgetting,
}

/// A running peer; it ends when this is dropped.
pub(crate) struct Peer {
    address: SocketAddr,
    _runtime: Runtime,
}

/// The connections: each user's way out. Locked for moments.
type Outlets = Arc<Mutex<HashMap<String, UnboundedSender<String>>>>;

impl Peer {
    pub(crate) fn start(manner: Manner) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let outlets = Outlets::default();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, Arc::clone(&outlets)));
            }
        });
        Self {
            address,
            _runtime: runtime,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// One connection. `None` ends it.
async fn serve(mut stream: TcpStream, manner: Manner, outlets: Outlets) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut begin = [0; 4];
    while stream.peek(&mut begin).await.ok()? < begin.len() {}
    if &begin == b"POST" {
        let answer = match manner {
            Manner::Forgetting => "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{\"users\":[]}",
            _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nConnection: close\r\n\r\nNo users.",
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
        // Closing before all of the request was read would take the answer back.
        while stream.read(&mut [0; 1_024]).await.ok()? > 0 {}
        return None;
    }
    let socket = tokio_tungstenite::accept_async(stream).await.ok()?;
    let (mut write, mut read) = socket.split();
    let (outlet, mut waiting) = unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(frame) = waiting.recv().await {
            if write.send(Message::text(frame)).await.is_err() {
                return;
            }
        }
    });
    outlet
        .send(r#"0{"sid":"1","pingInterval":25000,"pingTimeout":20000}"#.to_owned())
        .ok()?;
    let auth: Value = serde_json::from_str(read.next().await?.ok()?.to_text().ok()?.strip_prefix("40")?).ok()?;
    let key = DecodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::decode::<Claims>(auth["token"].as_str()?, &key, &Validation::default()).ok()?;
    let user = token.claims.user_id.to_string();
    outlets
        .lock()
        .expect("nobody panics with it")
        .insert(user.clone(), outlet.clone());
    outlet.send(r#"40{"sid":"1"}"#.to_owned()).ok()?;

    let (mut count, mut held) = (0, None);
    while let Some(Ok(frame)) = read.next().await {
        let Some(frame) = frame.to_text().ok()?.strip_prefix("42") else {
            continue;
        };
        count += 1;
        let (number, event) = frame.split_at(frame.find('[')?);
        let event: Value = serde_json::from_str(event).ok()?;
        let receiver = event[1]["receiverId"].as_str()?;
        let document = json!({"_id": "0", "sender": user, "receiver": receiver, "message": event[1]["message"]});
        let name = format!("receive_message_{receiver}");
        let delivery = (receiver.to_owned(), format!("42{}", json!([name, document])));
        let tenth = count % 10 == 0;
        let answer = match manner {
            Manner::Full if count > 10 => {
                json!({"ok": false, "error": {"code": "store_unavailable", "retryAfterMs": 50}})
            }
            Manner::Busy if tenth => json!({"ok": false, "error": {"code": "overloaded", "retryAfterMs": 5}}),
            _ => json!({"ok": true}),
        };
        if manner != Manner::Broadcasting && !(manner == Manner::Silent && tenth) && !number.is_empty() {
            outlet.send(format!("43{number}{}", json!([answer]))).ok()?;
        }
        let deliver = |(receiver, frame): &(String, String)| {
            for (user, outlet) in &*outlets.lock().expect("nobody panics with it") {
                if user == receiver || manner == Manner::Broadcasting {
                    // It may have left; then it hears nothing.
                    let _ = outlet.send(frame.clone());
                }
            }
        };
        match manner {
            Manner::Dropping | Manner::Busy if tenth => {}
            Manner::Full if count > 10 => {}
            Manner::Swapping if tenth => held = Some(delivery),
            _ => {
                deliver(&delivery);
                if manner == Manner::Doubling && tenth {
                    deliver(&delivery);
                }
                held.take().iter().for_each(deliver);
            }
        }
    }
    Some(())
}
