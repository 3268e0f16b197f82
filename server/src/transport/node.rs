//! The name of this process, and the names of its connections among those of all nodes.

use std::fmt;

use crate::delivery::client::ConnectionId;

/// This process.
pub struct Node {
    /// Its machine and process id, for people.
    name: String,
    /// What its connections' names begin with: another node, or the next process, takes none of them for its own.
    prefix: String,
}

impl Node {
    /// This one.
    #[expect(clippy::disallowed_methods, reason = "a name that no other process has")]
    pub fn current() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
        let host = host.map_or_else(|_| "unknown".to_owned(), |host| host.trim().to_owned());
        Self {
            name: format!("{host}:{}", std::process::id()),
            prefix: format!("{:08x}", rand::random::<u32>()),
        }
    }

    /// The name of a connection. It is not the one by which the library knows the session, which is as good as a token.
    pub fn connection(&self, id: ConnectionId) -> String {
        format!("{}-{id}", self.prefix)
    }

    /// The connection of this name, if it is or was one of this process.
    pub fn parse(&self, name: &str) -> Option<ConnectionId> {
        let (prefix, id) = name.split_once('-')?;
        (prefix == self.prefix).then(|| id.parse().ok()).flatten()
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
