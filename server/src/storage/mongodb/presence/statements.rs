//! The statements that change who is online.

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use shared::Timestamp;

use crate::storage::PresenceChange;
use crate::storage::mongodb::document::{date, user_key};

/// One change as a statement of an `update` command. A user that does not exist is not created by it.
pub(super) fn update(node: ObjectId, change: &PresenceChange) -> Document {
    let pipeline = match change.online {
        true => join(node, change.at),
        false => leave(vec![node.into()], change.at),
    };
    doc! { "q": { "_id": user_key(change.user) }, "u": pipeline }
}

/// The user's nodes, or none if an odd document holds something else.
fn nodes() -> Document {
    doc! { "$cond": [{ "$isArray": "$onlineNodes" }, "$onlineNodes", []] }
}

/// Adds a node to a user. `lastSeen` changes unless another node serves the user already.
fn join(node: ObjectId, at: Timestamp) -> Vec<Document> {
    let others = doc! { "$setDifference": [nodes(), [node]] };
    vec![doc! { "$set": {
        "onlineNodes": { "$setUnion": [nodes(), [node]] },
        "isOnline": true,
        "lastSeen": { "$cond": [{ "$eq": [others, []] }, date(at), "$lastSeen"] },
    } }]
}

/// Takes nodes from a user, who is offline when none remains. An empty list is removed, so that the sparse index
/// holds those who are online only.
pub(super) fn leave(gone: Vec<Bson>, at: Timestamp) -> Vec<Document> {
    let none_left = doc! { "$eq": ["$onlineNodes", []] };
    vec![
        doc! { "$set": { "onlineNodes": { "$setDifference": [nodes(), gone] } } },
        doc! { "$set": {
            "isOnline": { "$not": [&none_left] },
            "lastSeen": { "$cond": [&none_left, date(at), "$lastSeen"] },
            "onlineNodes": { "$cond": [&none_left, "$$REMOVE", "$onlineNodes"] },
        } },
    ]
}
