//! The sessions that began by polling: found by their ids, and ended when they are overdue.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::super::registry::{Overdue, Registry};
use super::{Link, Session};

/// The sessions that began by polling, by their ids.
pub struct Sessions {
    pub(super) registry: Arc<Registry>,
    /// Held to look up or change one entry, or to list all.
    pub(super) links: Mutex<HashMap<Box<str>, Weak<Session>>>,
}

impl Sessions {
    /// No sessions yet; `registry` ends those that become overdue.
    pub fn new(registry: &Arc<Registry>) -> Arc<Self> {
        let sessions = Arc::new(Self {
            registry: Arc::clone(registry),
            links: Mutex::default(),
        });
        registry.add(Arc::downgrade(&sessions) as Weak<dyn Overdue>);
        sessions
    }

    /// A session that lives.
    pub(in crate::transport::tcp) fn find(&self, id: &str) -> Option<Link> {
        self.links.lock().get(id)?.upgrade().map(Link)
    }
}

impl Overdue for Sessions {
    fn end_if_overdue(&self, now: u32) {
        let links: Vec<Arc<Session>> = self.links.lock().values().filter_map(Weak::upgrade).collect();
        links.into_iter().for_each(|session| Link(session).end_if_overdue(now));
    }
}
