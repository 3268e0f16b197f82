//! The keys that tokens are checked with now: read again when their files change, fetched again from the identity provider.
//!
//! One task does the reading and fetching. Who meets a token whose key is not known asks it and waits, so that no client that leaves
//! takes a request with it that others wait for.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use jwt::fetch::{FetchError, Fetcher, TIMEOUT};
use jwt::settings::{KeySetSource, WrongSetting};
use jwt::{Key, KeySet, Keys, Provider};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::keys;
use crate::config::Config;
use crate::outage::Outage;

/// How often files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A token of a key that is not known makes the provider be asked again this long after the last such one at the earliest.
const ASK_INTERVAL: Duration = Duration::from_secs(10);

/// After this long a provider that did not answer is asked again.
const RETRY_DELAY: Duration = Duration::from_secs(10);

/// Ids of keys that are remembered because the provider does not know them. Beyond that the oldest are forgotten, and asked for again.
const MAX_DENIED: usize = 256;

/// The keys that tokens are checked with.
pub struct KeyStore {
    config: Option<Config>,
    fetcher: Option<Fetcher>,
    /// Held to take or to replace them.
    keys: RwLock<Arc<Keys>>,
    /// What was asked for. Held to look and set.
    asked: Mutex<Asked>,
    /// Wakes the task that asks.
    wanted: Notify,
    /// How often asking the provider began.
    begun: AtomicU64,
    /// What came of asking the provider.
    outcomes: watch::Sender<Outcomes>,
    /// Makes hashes that strangers can't foresee.
    hasher: RandomState,
}

/// What the provider was asked for because of tokens whose key is not known.
#[derive(Default)]
struct Asked {
    /// When it was last, and the number of the outcome that tells.
    last: Option<(Instant, u64)>,
    /// Hashes of the ids of keys of which the provider has said since they were first named that it does not have them.
    denied: VecDeque<u64>,
}

/// How often the provider was asked to the end.
#[derive(Debug, Clone, Copy, Default)]
struct Outcomes {
    count: u64,
    /// The number of the last outcome that was an answer; 0 for none.
    answered: u64,
}

impl KeyStore {
    /// The keys that a configuration names, of which these were loaded.
    ///
    /// # Errors
    /// `JWT_JWKS_URL` can't be asked.
    pub fn new(config: &Config, keys: Keys) -> Result<Arc<Self>, WrongSetting> {
        let settings = &config.tokens.keys;
        let fetcher = match &settings.jwt_jwks_url {
            Some(KeySetSource::Url(url)) => {
                let fetcher = Fetcher::new(url, settings.jwt_jwks_allow_private);
                Some(fetcher.map_err(|error| WrongSetting {
                    name: "JWT_JWKS_URL",
                    why: error.to_string(),
                })?)
            }
            _ => None,
        };
        Ok(Arc::new(Self::of(keys, Some(config.clone()), fetcher)))
    }

    /// One secret that stays, for parts that are used without a server.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn of_secret(secret: &str) -> Arc<Self> {
        let keys = Keys {
            own: vec![Key::secret(secret, "a secret".to_owned())],
            provider: Provider::None,
        };
        Arc::new(Self::of(keys, None, None))
    }

    fn of(keys: Keys, config: Option<Config>, fetcher: Option<Fetcher>) -> Self {
        Self {
            config,
            fetcher,
            keys: RwLock::new(Arc::new(keys)),
            asked: Mutex::default(),
            wanted: Notify::new(),
            begun: AtomicU64::new(0),
            outcomes: watch::Sender::default(),
            hasher: RandomState::new(),
        }
    }

    /// The keys as they are now.
    pub fn current(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read())
    }

    /// Has the provider asked for a key that is not known, unless it was lately, and waits for what it says. False if it is not known
    /// yet whether the provider has this key: then it was asked before the key was named, or does not answer.
    pub async fn ask(&self, key_id: Option<&str>) -> bool {
        if self.fetcher.is_none() {
            return true;
        }
        let id = self.hasher.hash_one(key_id);
        let ((at, needed), is_denied) = {
            let mut asked = self.asked.lock();
            let is_denied = asked.denied.contains(&id);
            match asked.last {
                Some(lately) if lately.0.elapsed() < ASK_INTERVAL => (lately, is_denied),
                _ => {
                    // What is being fetched just now may have been said before.
                    let now = (Instant::now(), self.begun.load(Ordering::SeqCst) + 1);
                    asked.last = Some(now);
                    self.wanted.notify_one();
                    (now, is_denied)
                }
            }
        };
        let mut outcomes = self.outcomes.subscribe();
        if outcomes.borrow_and_update().count >= needed {
            return is_denied;
        }
        // An outcome that comes later finds its way into the keys all the same.
        let waited = timeout_at(at + TIMEOUT, outcomes.wait_for(|outcomes| outcomes.count >= needed)).await;
        if !waited.is_ok_and(|outcomes| outcomes.is_ok_and(|outcomes| outcomes.answered >= needed)) {
            // Whom it denied before it still denies.
            return is_denied;
        }
        let mut asked = self.asked.lock();
        if !asked.denied.contains(&id) {
            if asked.denied.len() == MAX_DENIED {
                asked.denied.pop_front();
            }
            asked.denied.push_back(id);
        }
        true
    }

    /// Whether there is anything that can change.
    pub fn changes(&self) -> bool {
        self.fetcher.is_some() || !self.files().is_empty()
    }

    fn files(&self) -> Vec<PathBuf> {
        let Some(config) = &self.config else {
            return Vec::new();
        };
        let settings = &config.tokens.keys;
        let set = match &settings.jwt_jwks_url {
            Some(KeySetSource::File(path)) => Some(path.clone()),
            _ => None,
        };
        settings.key_files().into_iter().map(PathBuf::from).chain(set).collect()
    }

    /// Keeps the keys as they are in the files and at the provider. Whenever `reload` changes, all are read and fetched again.
    pub async fn run(self: Arc<Self>, mut reload: watch::Receiver<u64>, stop: CancellationToken) {
        let files = self.files();
        let refresh = self.config.as_ref().map_or(ASK_INTERVAL, |config| {
            Duration::from_secs(config.tokens.keys.jwt_jwks_refresh.into())
        });
        let mut outage = Outage::default();
        let mut seen = stamps(files.clone()).await;
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut due = Instant::now();
        loop {
            let mut fetch = false;
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick(), if !files.is_empty() => {
                    let now = stamps(files.clone()).await;
                    if now != seen {
                        seen = now;
                        self.read_again().await;
                    }
                }
                () = self.wanted.notified() => fetch = true,
                () = sleep_until(due), if self.fetcher.is_some() => fetch = true,
                Ok(()) = reload.changed() => {
                    seen = stamps(files.clone()).await;
                    self.read_again().await;
                    fetch = true;
                }
            }
            if let Some(fetcher) = self.fetcher.as_ref().filter(|_| fetch) {
                self.begun.fetch_add(1, Ordering::SeqCst);
                let fetched = stop.run_until_cancelled(fetcher.fetch()).await;
                let Some(fetched) = fetched else { return };
                let is_good = fetched.is_ok();
                self.take(fetcher, fetched, &mut outage);
                self.outcomes.send_modify(|outcomes| {
                    outcomes.count += 1;
                    if is_good {
                        outcomes.answered = outcomes.count;
                    }
                });
                due = Instant::now() + if is_good { refresh } else { refresh.min(RETRY_DELAY) };
            }
        }
    }

    /// Uses what the provider said; while it says nothing, what it said last.
    fn take(&self, fetcher: &Fetcher, fetched: Result<KeySet, FetchError>, outage: &mut Outage) {
        let host = fetcher.host();
        match fetched {
            Ok(set) => {
                if let Some(ended) = outage.worked() {
                    tracing::info!(host, failures = ended.failures, lasted = ?ended.lasted, "keys of tokens: the identity provider answers again");
                }
                self.replace_set(set);
            }
            Err(error) if outage.failed() => {
                let known = matches!(self.current().provider, Provider::Keys(_));
                tracing::error!(
                    host, %error, known,
                    "keys of tokens: JWT_JWKS_URL can't be fetched; the keys that are known stay as they are, and it is tried again"
                );
            }
            Err(error) => tracing::debug!(host, %error, "keys of tokens: JWT_JWKS_URL can't be fetched"),
        }
    }

    fn replace_set(&self, set: KeySet) {
        let mut keys = self.keys.write();
        let names = |keys: &Keys| match &keys.provider {
            Provider::Keys(set) => Some((labels(&set.keys), set.skipped.clone())),
            _ => None,
        };
        let before = names(&keys);
        *keys = Arc::new(Keys {
            own: keys.own.clone(),
            provider: Provider::Keys(Arc::new(set)),
        });
        let after = names(&keys);
        drop(keys);
        if before == after {
            return;
        }
        if let Some((used, skipped)) = after {
            tracing::info!(
                keys = used.join(", "),
                "keys of tokens: the identity provider has these"
            );
            for why in skipped {
                // Providers have keys for other ends beside these.
                tracing::info!("keys of tokens: not used: {why}");
            }
        }
    }

    /// Reads the files again. What can't be read leaves the keys as they were.
    async fn read_again(&self) {
        let Some(config) = self.config.clone().filter(|_| !self.files().is_empty()) else {
            return;
        };
        let read = tokio::task::spawn_blocking(move || keys::load(&config)).await;
        match read {
            Ok(Ok(read)) => {
                let mut keys = self.keys.write();
                let provider = match read.provider {
                    // A file has its keys; those of a URL are kept.
                    Provider::Keys(set) => Provider::Keys(set),
                    _ => keys.provider.clone(),
                };
                let named = labels(&read.own).join(", ");
                *keys = Arc::new(Keys {
                    own: read.own,
                    provider,
                });
                drop(keys);
                tracing::info!(keys = named, "keys of tokens: the files were read again");
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "keys of tokens: the files can't be read again; the keys that are known stay as they are");
            }
            // The panic was logged where it happened.
            Err(_) => tracing::error!(
                "keys of tokens: the files can't be read again; the keys that are known stay as they are"
            ),
        }
    }
}

fn labels(keys: &[Key]) -> Vec<String> {
    keys.iter().map(|key| key.label().to_owned()).collect()
}

/// What changes when a file is written or replaced.
async fn stamps(files: Vec<PathBuf>) -> Vec<Option<(SystemTime, u64, u64)>> {
    let look = move || {
        let stamp = |path: &PathBuf| {
            use std::os::unix::fs::MetadataExt as _;
            let found = std::fs::metadata(path).ok()?;
            Some((found.modified().ok()?, found.len(), found.ino()))
        };
        files.iter().map(stamp).collect()
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else strangers hold a request for five seconds with each token of a key that nobody has.
    #[tokio::test]
    async fn nobody_waits_for_a_provider_that_has_answered() {
        // Nothing listens there, and that is an answer, too.
        let fetcher = Fetcher::new("https://127.0.0.1:1/", true).expect("a URL");
        let store = Arc::new(KeyStore::of(Keys::default(), None, Some(fetcher)));
        let (_reload, reloads) = watch::channel(0);
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&store).run(reloads, stop.clone()));
        assert!(!store.ask(Some("a")).await, "it was no answer about keys");
        let began = Instant::now();
        for _ in 0..3 {
            assert!(!store.ask(Some("a")).await);
        }
        assert!(began.elapsed() < TIMEOUT / 2, "{:?}", began.elapsed());
        stop.cancel();
        running.await.expect("it ends");
    }
}
