//! What users are called: asked of the server once for each.

use std::collections::HashMap;

use chatctl_client::http::Http;
use chatctl_terminal::output;
use shared::{User, UserId};

/// More names than this are not remembered.
const MAX_NAMES: usize = 10_000;

/// The names that are known, harmless and on one line.
#[derive(Debug)]
pub(crate) struct Names {
    http: Http,
    known: HashMap<UserId, String>,
}

impl Names {
    /// Begins with these users.
    pub(crate) fn new(http: Http, users: &[&User]) -> Self {
        let known = users.iter().map(|user| (user.id, output::one_line(&user.username)));
        Self {
            http,
            known: known.collect(),
        }
    }

    /// A user's name, or the id while the name can't be learned.
    pub(crate) fn of(&mut self, id: UserId) -> String {
        if let Some(name) = self.known.get(&id) {
            return name.clone();
        }
        match self.http.user(id) {
            Ok(user) => {
                let name = output::one_line(&user.username);
                if self.known.len() >= MAX_NAMES {
                    self.known.clear();
                }
                self.known.insert(id, name.clone());
                name
            }
            // Asked for again next time.
            Err(_) => id.to_string(),
        }
    }
}
