//! Which other nodes live, and up to where each has projected what it stored itself.
//!
//! Each node projects its own messages, and says in its lease by which bytes its ids are known and before which moment, of the time
//! in ids, all of them are in the inboxes. What it stored later is held here ([`Projector::hold`](super::Projector::hold)) until it
//! says that of it, too, or is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::oid::ObjectId;
use bson::raw::RawDocumentBuf;
use bson::spec::BinarySubtype;
use bson::{Binary, DateTime, Document, doc};
use mongodb::{Collection, Database};

use super::ids;
use crate::storage::StoreError;
use crate::storage::mongodb::timeouts::READ_TIMEOUT;
use crate::storage::mongodb::{names, query};

/// The fields of a lease.
const WRITER: &str = "writer";
const PROJECTED: &str = "projected";

/// The other nodes, as their leases were when they were last read.
pub(super) struct Writers {
    nodes: Collection<RawDocumentBuf>,
    /// Whether there are others, as of the last heartbeat.
    others: Arc<AtomicBool>,
    /// By the bytes in their ids; in milliseconds.
    living: HashMap<[u8; 5], i64>,
}

impl Writers {
    pub(super) fn new(database: &Database, others: Arc<AtomicBool>) -> Self {
        Self {
            others,
            nodes: database.collection(names::NODES),
            living: HashMap::new(),
        }
    }

    /// Reads the leases. To be done before messages are read: a node that lives then and is gone later is noticed later. Returns
    /// whether one is gone.
    pub(super) async fn read(&mut self, own: Option<[u8; 5]>) -> Result<bool, StoreError> {
        if self.living.is_empty() && !self.others.load(Ordering::Acquire) {
            // What a node stores that has just begun is projected here as well until the next heartbeat.
            return Ok(false);
        }
        let find = self
            .nodes
            .find(doc! { WRITER: { "$exists": true } })
            .max_time(READ_TIMEOUT);
        let leases = query::all("reading the leases of others", READ_TIMEOUT, find, |lease| {
            let writer = lease.get_binary(WRITER).ok()?.bytes.try_into().ok()?;
            Some((writer, lease.get_datetime(PROJECTED).ok()?.timestamp_millis()))
        })
        .await?;
        let mut living: HashMap<[u8; 5], i64> = HashMap::new();
        for (writer, projected) in leases.into_iter().filter(|(writer, _)| Some(*writer) != own) {
            // A node that has lost its lease can have two of them for a moment.
            let known = living.entry(writer).or_insert(projected);
            *known = projected.min(*known);
        }
        let gone = self.living.keys().any(|writer| !living.contains_key(writer));
        self.living = living;
        Ok(gone)
    }

    /// Whether another node that lives made an id, and so projects the message.
    pub(super) fn projects(&self, id: &ObjectId) -> bool {
        self.living.contains_key(&ids::process(&id.bytes()))
    }

    /// Before which moment, in milliseconds, all of them have projected what they stored.
    pub(super) fn projected(&self) -> i64 {
        self.living.values().copied().min().unwrap_or(i64::MAX)
    }
}

/// What a node writes of itself into its lease.
pub(super) fn claim(writer: Option<[u8; 5]>, projected: i64) -> Document {
    let Some(writer) = writer else {
        return Document::new();
    };
    let writer = Binary {
        subtype: BinarySubtype::Generic,
        bytes: writer.to_vec(),
    };
    doc! { WRITER: writer, PROJECTED: DateTime::from_millis(projected) }
}
