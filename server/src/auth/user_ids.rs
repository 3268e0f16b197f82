//! How users are named from outside: by the ids of this chat or, with `USER_IDS=external`, also by those of another system.
//!
//! A text of 24 hexadecimal digits means the user of this `_id` if there is one, and else the user of this external id. Nobody is
//! created whose external id is the `_id` of a user, and an `_id` is made by the server: so no text ever means two users, and
//! nobody can choose an id by which others would reach someone else. What a token names is an external id and nothing else.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use shared::{ExternalId, InvalidId, UserId};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::LOOKUP_TIMEOUT;
use crate::config::UserIdKind;
use crate::storage::{StoreError, UserStore};

/// Bytes of ids that are remembered, twice.
const GENERATION_BYTES: usize = 2 << 20;

/// What an id takes beside its text.
const ENTRY_BYTES: usize = 96;

/// How long an id is remembered, twice: ids never change here, but another program may delete users.
const GENERATION_TIME: Duration = Duration::from_secs(300);

/// Look-ups of ids at a time.
const MAX_CONCURRENT: usize = 32;

/// What a text of a client names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// This user, who may not exist.
    User(UserId),
    /// Somebody whom the store has to be asked for.
    Unresolved(ExternalId),
}

/// Finds the users whom clients and tokens name.
pub struct UserIds {
    kind: UserIdKind,
    /// Stands for all who do not exist: an id that no user has.
    nobody: UserId,
    /// Held to look one up or to add some.
    known: Mutex<Known>,
    turns: Semaphore,
}

impl UserIds {
    /// Nobody is remembered yet.
    #[expect(
        clippy::disallowed_methods,
        reason = "no user may have the id that stands for nobody; nothing depends on which one it is"
    )]
    pub fn new(kind: UserIdKind) -> Self {
        Self {
            kind,
            nobody: UserId::from_bytes(rand::random()),
            known: Mutex::new(Known::new()),
            turns: Semaphore::new(MAX_CONCURRENT),
        }
    }

    /// Whom a text names, as far as that is known without the store.
    ///
    /// # Errors
    /// It is no id.
    pub fn look(&self, text: &str) -> Result<Named, InvalidId> {
        if self.kind == UserIdKind::Internal {
            return text.parse().map(Named::User);
        }
        if let Some(user) = self.known.lock().get(text) {
            return Ok(Named::User(user));
        }
        text.parse().map(Named::Unresolved).map_err(|_| InvalidId)
    }

    /// Whether tokens name users by their external ids.
    pub fn are_external(&self) -> bool {
        self.kind == UserIdKind::External
    }

    /// Whether an id stands for somebody who does not exist.
    pub fn is_nobody(&self, user: UserId) -> bool {
        user == self.nobody
    }

    /// An id that no user has.
    pub(super) fn nobody(&self) -> UserId {
        self.nobody
    }

    /// The users who are named, in the order given. Who does not exist gets an id that no user has: what is asked about them is
    /// answered as it is for every id that is nobody's.
    ///
    /// # Errors
    /// The store did not answer in time.
    pub async fn resolve(&self, store: &dyn UserStore, named: Vec<Named>) -> Result<Vec<UserId>, StoreError> {
        let named: Vec<Named> = {
            // Many events can wait for the look-up of one id; those after the first have nothing to ask.
            let known = self.known.lock();
            let again = |named| match named {
                Named::Unresolved(id) => match known.get(id.as_str()) {
                    Some(user) => Named::User(user),
                    None => Named::Unresolved(id),
                },
                user => user,
            };
            named.into_iter().map(again).collect()
        };
        let unresolved: Vec<ExternalId> = named.iter().filter_map(Named::unresolved).cloned().collect();
        let mut found = match unresolved.is_empty() {
            true => HashMap::new(),
            false => self.find(store, unresolved).await?,
        };
        let user = |named| match named {
            Named::User(user) => user,
            // One id can stand twice.
            Named::Unresolved(id) => *found.entry(id).or_insert(self.nobody),
        };
        Ok(named.into_iter().map(user).collect())
    }

    async fn find(
        &self,
        store: &dyn UserStore,
        ids: Vec<ExternalId>,
    ) -> Result<HashMap<ExternalId, UserId>, StoreError> {
        let like_ours: Vec<UserId> = ids.iter().filter_map(|id| id.as_str().parse().ok()).collect();
        let finding = async {
            let _turn = self.turns.acquire().await;
            tokio::try_join!(store.users(&like_ours), store.with_external_ids(&ids))
        };
        let (ours, theirs) = in_time(finding).await?;
        let ours: Vec<UserId> = ours.into_iter().flatten().map(|user| user.id).collect();
        let mut found = HashMap::with_capacity(ids.len());
        for (id, user) in ids.into_iter().zip(theirs) {
            let own = id.as_str().parse().ok().filter(|id| ours.contains(id));
            if let Some(user) = own.or(user) {
                found.insert(id, user);
            }
        }
        let mut known = self.known.lock();
        for (id, user) in &found {
            known.insert(id.clone(), *user);
        }
        Ok(found)
    }

    /// The user whom a token names. An id that could be one of ours is looked up each time, because clients may mean another user
    /// by it.
    pub(super) async fn claimed(&self, store: &dyn UserStore, id: &ExternalId) -> Result<Option<UserId>, StoreError> {
        let is_like_ours = id.as_str().parse::<UserId>().is_ok();
        if !is_like_ours && let Some(user) = self.known.lock().get(id.as_str()) {
            return Ok(Some(user));
        }
        let finding = async {
            let _turn = self.turns.acquire().await;
            store.with_external_ids(std::slice::from_ref(id)).await
        };
        let found = in_time(finding).await?.into_iter().next().flatten();
        if let Some(user) = found.filter(|_| !is_like_ours) {
            self.known.lock().insert(id.clone(), user);
        }
        Ok(found)
    }

    /// Another program has deleted the user.
    pub(super) fn forget(&self, id: &ExternalId) {
        self.known.lock().forget(id.as_str());
    }
}

impl Named {
    fn unresolved(&self) -> Option<&ExternalId> {
        match self {
            Self::User(_) => None,
            Self::Unresolved(id) => Some(id),
        }
    }
}

async fn in_time<T>(finding: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let unavailable = |_| StoreError::Unavailable(format!("finding users: no answer within {LOOKUP_TIMEOUT:?}"));
    tokio::time::timeout(LOOKUP_TIMEOUT, finding)
        .await
        .map_err(unavailable)?
}

/// Users by their external ids. When a generation is full or old, the one before it is forgotten.
struct Known {
    young: HashMap<ExternalId, UserId>,
    old: HashMap<ExternalId, UserId>,
    /// What the younger one takes.
    bytes: usize,
    since: Instant,
}

impl Known {
    fn new() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            bytes: 0,
            since: Instant::now(),
        }
    }

    fn get(&self, text: &str) -> Option<UserId> {
        if self.since.elapsed() > 2 * GENERATION_TIME {
            return None;
        }
        self.young.get(text).or_else(|| self.old.get(text)).copied()
    }

    fn insert(&mut self, id: ExternalId, user: UserId) {
        let bytes = id.as_str().len() + ENTRY_BYTES;
        let age = self.since.elapsed();
        if self.bytes + bytes > GENERATION_BYTES || age > GENERATION_TIME {
            self.old = std::mem::take(&mut self.young);
            if age > 2 * GENERATION_TIME {
                self.old.clear();
            }
            self.bytes = 0;
            self.since = Instant::now();
        }
        if self.young.insert(id, user).is_none() {
            self.bytes += bytes;
        }
    }

    fn forget(&mut self, text: &str) {
        self.young.remove(text);
        self.old.remove(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::domain::{Identity, NewUser, Profile, Username};
    use crate::storage::Store;
    use crate::storage::sqlite::EmbeddedStore;

    fn user(number: u64) -> UserId {
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&number.to_be_bytes());
        UserId::from_bytes(bytes)
    }

    #[test]
    fn texts_name_users_as_the_setting_says() {
        let hex = "6945576383968f286a0ff5f9";
        let internal = UserIds::new(UserIdKind::Internal);
        assert_eq!(internal.look(hex), Ok(Named::User(hex.parse().unwrap())));
        assert_eq!(internal.look("7"), Err(InvalidId));
        let external = UserIds::new(UserIdKind::External);
        for text in [hex, "7", "auth0|é"] {
            assert_eq!(external.look(text), Ok(Named::Unresolved(text.parse().unwrap())));
        }
        for text in ["", "\0", &"x".repeat(129)] {
            assert_eq!(external.look(text), Err(InvalidId));
        }
    }

    /// So a message costs no look-up.
    #[tokio::test]
    async fn whoever_was_found_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(dir.path()).unwrap();
        let of = |id: &str| NewUser {
            identity: Identity::External(id.parse().unwrap()),
            username: Username::from_text("ada"),
            profile: Profile::default(),
        };
        let hex = "6945576383968f286a0ff5f9";
        let made = store.find_or_create(&[of("7"), of(hex)], clock::now()).await.unwrap();
        let [seven, like_ours] = [0, 1].map(|place: usize| made[place].0.id);
        let ids = UserIds::new(UserIdKind::External);
        let own = seven.to_string();
        let texts = ["7", hex, &own, "nobody", "7"];
        let named = || texts.map(|text| ids.look(text).unwrap());
        let found = ids.resolve(&store, named().to_vec()).await.unwrap();
        assert_eq!(found, [seven, like_ours, seven, ids.nobody(), seven]);
        for (text, user) in [("7", seven), (hex, like_ours), (&own, seven)] {
            assert_eq!(ids.look(text), Ok(Named::User(user)));
        }
        // Who does not exist may be created at any moment.
        assert!(matches!(ids.look("nobody"), Ok(Named::Unresolved(_))));
        let claimed = async |id: &str| ids.claimed(&store, &id.parse().unwrap()).await.unwrap();
        assert_eq!(claimed("7").await, Some(seven));
        assert_eq!(claimed(hex).await, Some(like_ours));
        assert_eq!(claimed(&own).await, None, "a token names no id of ours");
        store.close(clock::now()).await.unwrap();
        let waited = vec![Named::Unresolved("7".parse().unwrap())];
        assert_eq!(
            ids.resolve(&store, waited).await.unwrap(),
            [seven],
            "nobody is asked again"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_are_remembered_as_there_is_room_for_and_not_for_ever() {
        let mut known = Known::new();
        let id = |number: u64| -> ExternalId { format!("{number:0100}").parse().unwrap() };
        let each = 100 + ENTRY_BYTES;
        let count = (5 * GENERATION_BYTES / each) as u64;
        for number in 0..count {
            known.insert(id(number), user(number));
            known.insert(id(number), user(number));
        }
        assert!((known.young.len() + known.old.len()) * each <= 2 * GENERATION_BYTES);
        let found = |known: &Known, number| known.get(id(number).as_str());
        assert_eq!(found(&known, count - 1), Some(user(count - 1)));
        assert_eq!(found(&known, 0), None);
        known.forget(id(count - 1).as_str());
        assert_eq!(found(&known, count - 1), None);
        assert!(found(&known, count - 2).is_some());
        tokio::time::advance(2 * GENERATION_TIME + Duration::from_secs(1)).await;
        assert_eq!(found(&known, count - 2), None);
        known.insert(id(0), user(0));
        assert_eq!(known.young.len() + known.old.len(), 1);
    }
}
