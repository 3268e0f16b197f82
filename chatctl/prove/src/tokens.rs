//! The tokens of the users: fresh ones for each connection if they are to end or to be revoked, and an administrator who
//! revokes them at random.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chatctl_client::http::Http;
use chatctl_load::connection::{ConnectError, Connection};
use chatctl_load::server::Server;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use shared::UserId;
use tokio::sync::watch;
use tokio::time::sleep;

use super::violation::{Example, Findings, Kind};
use super::wire;

/// How long tokens hold that nobody said to be shorter.
const LIFETIME: Duration = Duration::from_secs(86_400);
/// Time between two revocations, at random.
const PAUSE_MILLIS: std::ops::Range<u64> = 400..1_600;
/// How long a try with a revoked token may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How a server refuses a revoked token.
const REVOKED: &str = shared::ErrorCode::TokenRevoked.as_str();

/// What signs the users' tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    http: Http,
    lifetime: Duration,
    /// From when on the tokens of users are good: whole seconds. Locked for moments, by devices and by who revokes.
    revoked: Mutex<HashMap<UserId, i64>>,
    /// Revocations that were answered.
    pub(super) revocations: AtomicU64,
    /// Tokens that took the place of others on a connection.
    pub(super) refreshed: AtomicU64,
}

impl Tokens {
    /// Signs tokens of this lifetime, or of one that outlives the run.
    pub(super) fn new(http: Http, lifetime: Option<Duration>) -> Self {
        Self {
            http,
            lifetime: lifetime.unwrap_or(LIFETIME),
            revoked: Mutex::default(),
            revocations: AtomicU64::new(0),
            refreshed: AtomicU64::new(0),
        }
    }

    /// A token of a user, from now on, and the second in which it was made.
    pub(super) fn fresh(&self, user: UserId) -> (String, i64) {
        let made = seconds();
        (self.http.secret().sign(user, None, self.lifetime).0, made)
    }

    /// Whether a token that was made in this second may be refused as revoked: a revocation is under way, or was answered later.
    pub(super) fn may_be_revoked(&self, user: UserId, made: i64) -> bool {
        self.revoked.lock().get(&user).is_some_and(|before| made < *before)
    }
}

/// Revokes the tokens of users at random, and sees that none of them is let in afterwards.
pub(super) struct Revoker {
    tokens: Arc<Tokens>,
    nodes: Vec<(Http, Server)>,
    people: Vec<UserId>,
    random: StdRng,
}

impl Revoker {
    /// Of the users of a run.
    pub(super) fn new(tokens: &Arc<Tokens>, nodes: &[Http], servers: &[Server], people: &[UserId]) -> Self {
        Self {
            tokens: Arc::clone(tokens),
            nodes: nodes.iter().cloned().zip(servers.iter().cloned()).collect(),
            people: people.to_vec(),
            random: StdRng::from_rng(&mut rand::rng()),
        }
    }

    /// Goes on until it is told to stop. What was found broken.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Findings {
        let mut findings = Findings::default();
        loop {
            let pause = Duration::from_millis(self.random.random_range(PAUSE_MILLIS));
            tokio::select! {
                () = sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return findings,
            }
            self.revoke(&mut findings).await;
        }
    }

    async fn revoke(&mut self, findings: &mut Findings) {
        let user = self.people[self.random.random_range(0..self.people.len())];
        let (node, other) = (
            self.random.random_range(0..self.nodes.len()),
            self.random.random_range(0..self.nodes.len()),
        );
        let (old, _) = self.tokens.fresh(user);
        // Until it is answered it is not known which tokens it refuses.
        self.tokens.revoked.lock().insert(user, i64::MAX);
        let http = self.nodes[node].0.clone();
        let asked = tokio::task::spawn_blocking(move || http.revoke(user)).await;
        // While a server restarts nobody knows whether it was done.
        let before = match asked {
            Ok(Ok(access)) => access.revoked_before.map(|before| before.millis() / 1_000),
            _ => None,
        };
        self.tokens
            .revoked
            .lock()
            .insert(user, before.unwrap_or_else(|| seconds() + 2));
        if before.is_none() {
            return;
        }
        self.tokens.revocations.fetch_add(1, Relaxed);
        let frame = wire::connect(&old, "");
        match Connection::open_with(&self.nodes[other].1, frame, CONNECT_TIMEOUT).await {
            Ok(_) => findings.add(Kind::LetIn, Example::new("connecting").of(user)),
            Err(ConnectError::Refused(why)) if !why.contains(REVOKED) => {
                findings.add(Kind::Refused, Example::new(format!("a revoked token: {why}")).of(user));
            }
            // Servers restart.
            Err(_) => {}
        }
    }
}

fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
