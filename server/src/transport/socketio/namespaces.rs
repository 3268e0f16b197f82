//! The Socket.IO library as this server uses it: its bounds, the one namespace, and the refusal of all others.

use std::sync::Arc;
use std::time::Duration;

use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::layer::SocketIoLayer;
use socketioxide::{ParserConfig, SocketIo};

use super::connect::{self, ConnectRefused, Connecting};
use super::handshake::Handshake;
use super::hints::FirstLook;
use super::request::EventTable;
use super::resume::Resume;
use crate::error;
use crate::metrics::METRICS;
use crate::supervisor;
use crate::transport::context::Context;
use crate::transport::tcp::end_reason::EndReason;
use crate::transport::tcp::engine::MAX_POLL_BYTES;
use crate::transport::tcp::link::Link;
use crate::transport::tcp::unserved;

/// Packets that may wait for one client. A commit can answer a whole batch of one sender at once.
const CLIENT_BUFFER: usize = 4_096;

/// Largest transport message, and all attachments of an event, in bytes, as the stock server has it: an event that is
/// too large is answered rather than cut off. What is not complete, and what the library keeps for the next
/// one, is charged (`tcp::intake`).
const MAX_TRANSPORT_BYTES: usize = 1 << 20;

/// Most binary attachments of an event, which has no use for any. Together they are bounded like a transport message: they
/// are held until the last one has come.
const MAX_ATTACHMENTS: usize = 64;

/// Longest name of a namespace that is repeated where it is refused.
const MAX_NAMESPACE_BYTES: usize = 128;

/// Bytes that each WebSocket reads at once, and holds all the time: most events are smaller, larger ones take a few
/// reads more.
const WS_READ_BUFFER: usize = 512;

/// How long a client may take to finish an upgrade.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(5);

/// The library, with bounds for all that a client can send or leave unread. Who has not authenticated after a time is
/// disconnected.
pub fn build(authentication_timeout: Duration) -> (SocketIoLayer, SocketIo) {
    let attachments = ParserConfig::common()
        .max_incoming_binary_buf_size(MAX_TRANSPORT_BYTES)
        .max_incoming_binaries(MAX_ATTACHMENTS);
    SocketIo::builder()
        .with_parser(attachments)
        .max_buffer_size(CLIENT_BUFFER)
        .max_payload(MAX_POLL_BYTES)
        .ws_max_message_size(MAX_TRANSPORT_BYTES)
        .ws_max_frame_size(MAX_TRANSPORT_BYTES)
        .ws_read_buffer_size(WS_READ_BUFFER)
        .connect_timeout(authentication_timeout)
        .upgrade_timeout(UPGRADE_TIMEOUT)
        .build_layer()
}

/// Lets sockets into the one namespace, where they may send the events of this table. All is done in the middleware; the
/// connect handler only sends what was missed, and hints.
pub fn serve(io: &SocketIo, context: &Arc<Context>, events: EventTable) {
    let (context, resuming) = (Arc::clone(context), Arc::clone(context));
    let names: Arc<[&'static str]> = events.iter().map(|(name, ..)| *name).collect();
    let admit = move |socket: Connecting, handshake: TryData<Handshake>| {
        connect::connect(Arc::clone(&context), events, Arc::clone(&names), socket, handshake)
    };
    let connected = move |socket: SocketRef| resume(Arc::clone(&resuming), socket);
    io.ns("/", connected.with(admit));
    // The library would answer every other one with its name, however long, and whether or not the client reads.
    let names = io.clone();
    let refuse = move |socket: SocketRef| {
        unserved::say(unserved::NAMESPACE);
        let name = socket.ns();
        if let Some(link) = Link::of(&socket) {
            let answered = name.len() <= MAX_NAMESPACE_BYTES && link.is_refused_elsewhere(name.len()).is_ok();
            if !answered {
                link.end(EndReason::Namespace);
            }
        }
        names.delete_ns(name);
        let refused = error::invalid_namespace();
        METRICS.handshakes_refused.count(refused.code);
        std::future::ready(Err(ConnectRefused(refused)))
    };
    let never = async |_: SocketRef| {};
    if let Err(error) = io.dyn_ns("/{*name}", never.with(refuse)) {
        tracing::error!(%error, "socket.io: other namespaces can't be refused");
    }
}

/// Sends a connection what it missed, if it wants that. A stop does not wait for it: the client comes back with its
/// cursor, as it does if this panics.
async fn resume(context: Arc<Context>, socket: SocketRef) {
    if let Some(look) = socket.extensions.remove::<FirstLook>() {
        look.look(&socket);
    }
    let Some(resume) = socket.extensions.remove::<Resume>() else {
        return;
    };
    let sending = async {
        let stopping = context.supervisor.stopping();
        stopping.run_until_cancelled(resume.run(&context, socket.clone())).await;
    };
    if !supervisor::logged("resume", sending).await
        && let Some(link) = Link::of(&socket)
    {
        link.close();
    }
}
