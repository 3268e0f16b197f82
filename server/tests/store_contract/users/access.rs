//! Whose tokens are revoked, and who is banned.

use server::domain::{Access, Ban};
use shared::SettingsChange;

use crate::data::{later, nobody, now, people};
use crate::engine::Engine;

fn ban(until: Option<i64>, reason: Option<&str>) -> Ban {
    Ban {
        at: later(1),
        until: until.map(later),
        reason: reason.map(str::to_owned),
    }
}

pub(crate) async fn lets_in_at_first(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada] = people(&*store).await;
    assert_eq!(store.access(ada).await, Ok(Some(Access::default())));
    assert_eq!(store.access(nobody()).await, Ok(None));
    assert_eq!(store.revoke(nobody(), later(1)).await, Ok(None));
    assert_eq!(store.set_ban(nobody(), Some(ban(None, None))).await, Ok(None));
    assert_eq!(store.access(nobody()).await, Ok(None), "nobody was created");
}

pub(crate) async fn revokes_and_never_takes_that_back(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let revoked = |millis| Access {
        revoked_before: Some(later(millis)),
        ban: None,
    };
    for (before, after) in [(3, 3), (5, 5), (4, 5)] {
        assert_eq!(store.revoke(ada, later(before)).await, Ok(Some(revoked(after))));
        assert_eq!(store.access(ada).await, Ok(Some(revoked(after))));
    }
    assert_eq!(store.access(bob).await, Ok(Some(Access::default())));
}

pub(crate) async fn bans_and_lifts_bans(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    store.revoke(ada, later(7)).await.unwrap();
    for ban in [
        Some(ban(None, None)),
        Some(ban(Some(9), Some("rude"))),
        Some(ban(None, Some("ß"))),
        None,
        None,
    ] {
        let access = Access {
            revoked_before: Some(later(7)),
            ban: ban.clone(),
        };
        assert_eq!(store.set_ban(ada, ban).await, Ok(Some(access.clone())));
        assert_eq!(store.access(ada).await, Ok(Some(access)));
    }
    assert_eq!(store.access(bob).await, Ok(Some(Access::default())));
}

pub(crate) async fn survives_reopening(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada] = people(&*store).await;
    store.revoke(ada, later(7)).await.unwrap();
    let access = store.set_ban(ada, Some(ban(Some(9), Some("rude")))).await.unwrap();
    // What else changes of the user leaves it as it is.
    let invisible = SettingsChange {
        read_receipts: None,
        invisible: Some(true),
    };
    store.change_settings(ada, invisible, now()).await.unwrap();
    drop(store);
    let store = engine.open().await;
    assert_eq!(store.access(ada).await, Ok(access));
    assert!(store.settings(&[ada]).await.unwrap()[0].invisible);
}
