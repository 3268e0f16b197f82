//! The pages that may connect, and those that may not, which the log names: they are sent nothing that a page could show.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, HeaderValue, header};
use parking_lot::Mutex;

use crate::config::Origins;
use crate::error;

/// Most origins that are named in the log; a client that makes up others is not worth a line.
const MAX_LOGGED: usize = 100;

/// Decides about origins.
pub struct OriginCheck {
    origins: Origins,
    /// Those that were refused and named, as far as they are shown. Held to look one up or add it.
    refused: Mutex<BTreeSet<String>>,
}

impl OriginCheck {
    /// As configured.
    pub fn new(origins: Origins) -> Self {
        Self {
            origins,
            refused: Mutex::default(),
        }
    }

    /// Whether all are allowed.
    pub fn is_open(&self) -> bool {
        self.origins == Origins::Any
    }

    /// Whether a page of this origin may send a request with these headers.
    pub fn allow(&self, origin: &HeaderValue, headers: &HeaderMap) -> bool {
        let may = self.origins.allow(origin, headers.get(header::HOST));
        if !may {
            self.log_refusal(origin);
        }
        may
    }

    fn log_refusal(&self, origin: &HeaderValue) {
        let origin = error::short(&String::from_utf8_lossy(origin.as_bytes()));
        let mut refused = self.refused.lock();
        if refused.len() < MAX_LOGGED && refused.insert(origin.clone()) {
            drop(refused);
            tracing::warn!(?origin, "this origin was refused; it is not among CORS_ORIGINS");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let check = OriginCheck::new("https://a.example".parse().unwrap());
        for number in 0..1_000 {
            let origin = HeaderValue::from_str(&format!("https://{number}.{}", "x".repeat(1_000))).unwrap();
            assert!(!check.allow(&origin, &HeaderMap::new()));
        }
        let refused = check.refused.lock();
        assert_eq!(refused.len(), MAX_LOGGED);
        assert!(refused.iter().all(|origin| origin.len() <= 64));
    }
}
