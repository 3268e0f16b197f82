//! Why a use-case failed. [`crate::error`] turns each of these into what a client sees, and logs the cause where that was not
//! done yet.

use shared::{MessageId, UserId};

use super::commit::{NotStored, SubmitError};
use super::reads::TooManyReads;
use crate::auth::AuthError;
use crate::domain::{InvalidClientMessageId, InvalidCursor, InvalidText, InvalidUsername};
use crate::storage::{ChangesError, MarkError, Projection, StoreError};

/// Why a chat did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value is not allowed; the text says which, and what is.
    #[error("{0}")]
    Invalid(String),
    /// A text is no message.
    #[error(transparent)]
    Text(#[from] InvalidText),
    /// A `clientMessageId` is none.
    #[error(transparent)]
    ClientMessageId(#[from] InvalidClientMessageId),
    /// A text is no cursor.
    #[error(transparent)]
    Cursor(#[from] InvalidCursor),
    /// A name can't be given to a user.
    #[error("{name:?}: {cause}")]
    Username {
        /// The name.
        name: String,
        /// What is wrong with it.
        cause: InvalidUsername,
    },
    /// The caller may not do this; the text says who may.
    #[error("{0}")]
    Forbidden(String),
    /// No user has this id.
    #[error("no user has the id {0}")]
    UnknownUser(UserId),
    /// The caller is no user of the chat.
    #[error("the token's user does not exist")]
    UnknownCaller,
    /// A message that a request names is not in the conversation.
    #[error("{parameter}: this conversation has no message {id}")]
    UnknownMessage {
        /// Where the request names it.
        parameter: &'static str,
        /// Its id.
        id: MessageId,
    },
    /// A token that a request brings is refused.
    #[error(transparent)]
    Denied(#[from] AuthError),
    /// A request was not taken.
    #[error("not taken: {0}")]
    Refused(#[from] SubmitError),
    /// Too many reads wait for their turn.
    #[error("too many reads wait")]
    TooManyReads,
    /// The inboxes of an old database are not complete yet.
    #[error("the inboxes are being built")]
    InboxBuilding(Projection),
    /// A message that was taken is not stored. The committer has logged a store's failure, once for its batch.
    #[error("not stored: {0:?}")]
    NotStored(NotStored),
    /// A mark that was taken is not stored. The queue of marks has logged a store's failure, once for its batch.
    #[error("not marked: {0:?}")]
    NotMarked(MarkError),
    /// There is nothing after this cursor: the client has to begin without it.
    #[error("{0}")]
    SyncReset(&'static str),
    /// The store failed in this request.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A value of ours has no JSON form.
    #[error(transparent)]
    NotSerialised(#[from] serde_json::Error),
}

impl From<ChangesError> for Error {
    fn from(error: ChangesError) -> Self {
        match error {
            ChangesError::Reset(why) => Self::SyncReset(why),
            ChangesError::Store(error) => Self::Store(error),
        }
    }
}

impl From<TooManyReads> for Error {
    fn from(TooManyReads: TooManyReads) -> Self {
        Self::TooManyReads
    }
}
