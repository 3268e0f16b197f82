//! Whom an event names. With ids of another system the store may have to be asked for that; the order of a connection's messages and
//! marks stays as they were sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use shared::{UserId, WireError};

use super::reply::Reply;
use super::session::Session;
use crate::auth::Named;
use crate::chat;
use crate::error;
use crate::transport::context::Context;

/// Calls `then` with the user whom a text in this field names: at once where that is known, and no earlier event of the connection
/// waits for it; else in a task, after those.
pub(super) fn with_user(
    context: &Arc<Context>,
    reply: Reply,
    (field, text): (&str, &str),
    then: impl FnOnce(&Arc<Context>, Reply, UserId) + Send + 'static,
) {
    let named = match look(context, field, text) {
        Ok(named) => named,
        Err(error) => return reply.error(error),
    };
    let named = match named {
        Named::User(user) if reply.session.look_ups.load(Ordering::Acquire) == 0 => return then(context, reply, user),
        named => named,
    };
    let looking_up = LookUp::new(&reply.session);
    let context = Arc::clone(context);
    reply.in_order(|reply, mut order, waiting| async move {
        order.wait().await;
        drop(waiting);
        match users(&context, vec![named]).await.map(|users| users.into_iter().next()) {
            Ok(Some(user)) => then(&context, reply, user),
            Ok(None) => drop(reply),
            Err(error) => reply.error(error),
        }
        drop((looking_up, order));
    });
}

/// Whom a text in this field names, as far as that is known.
pub(super) fn look(context: &Context, field: &str, text: &str) -> Result<Named, WireError> {
    let wrong = |_| error::invalid_user_id(field, text, context.user_ids.are_external());
    context.user_ids.look(text).map_err(wrong)
}

/// The users who are named; for those who do not exist an id that nobody has.
pub(super) async fn users(context: &Context, named: Vec<Named>) -> Result<Vec<UserId>, chat::Error> {
    Ok(context.user_ids.resolve(&*context.store, named).await?)
}

/// An event that waits until it is known whom it names.
struct LookUp(Arc<Session>);

impl LookUp {
    fn new(session: &Arc<Session>) -> Self {
        session.look_ups.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(session))
    }
}

impl Drop for LookUp {
    fn drop(&mut self) {
        self.0.look_ups.fetch_sub(1, Ordering::AcqRel);
    }
}
