//! What a user lets others see.

use server::storage::UserStore;
use shared::{Settings, SettingsChange, UserId};

use crate::data::{nobody, now, people};
use crate::engine::Engine;

const DEFAULT: Settings = Settings {
    read_receipts: true,
    invisible: false,
    version: 0,
};

/// Without their version.
fn plain(settings: Settings) -> Settings {
    Settings { version: 0, ..settings }
}

async fn change(store: &dyn UserStore, user: UserId, read_receipts: Option<bool>, invisible: Option<bool>) -> Settings {
    let change = SettingsChange {
        read_receipts,
        invisible,
    };
    store.change_settings(user, change, now()).await.unwrap().unwrap()
}

pub(crate) async fn have_a_default(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    assert_eq!(store.settings(&[]).await, Ok(Vec::new()));
    assert_eq!(store.settings(&[bob, nobody(), ada]).await, Ok(vec![DEFAULT; 3]));
    // Asking by changing nothing.
    assert_eq!(change(&*store, ada, None, None).await, DEFAULT);
}

pub(crate) async fn change_one_by_one(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada, bob] = people(&*store).await;
    let settings = |read_receipts, invisible| Settings {
        read_receipts,
        invisible,
        version: 0,
    };
    let mut last = DEFAULT;
    for (read_receipts, invisible, after) in [
        (Some(false), None, settings(false, false)),
        (None, Some(true), settings(false, true)),
        (None, None, settings(false, true)),
        (Some(false), Some(true), settings(false, true)),
        (Some(true), None, settings(true, true)),
    ] {
        let changed = change(&*store, ada, read_receipts, invisible).await;
        assert_eq!(plain(changed), after);
        let grown = changed.version > last.version;
        assert!(grown || changed == last, "{changed:?} after {last:?}");
        last = changed;
    }
    let of_bob = change(&*store, bob, Some(false), Some(false)).await;
    assert_eq!(plain(of_bob), settings(false, false));
    let stored = store.settings(&[bob, ada, bob]).await.unwrap();
    assert_eq!(stored, [of_bob, last, of_bob]);
    // What else is known of them stays.
    assert!(store.user(ada).await.unwrap().is_some_and(|user| !user.is_online));
}

pub(crate) async fn of_nobody_are_none(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada] = people(&*store).await;
    let invisible = SettingsChange {
        read_receipts: None,
        invisible: Some(true),
    };
    assert_eq!(store.change_settings(nobody(), invisible, now()).await, Ok(None));
    assert_eq!(store.settings(&[nobody(), ada]).await, Ok(vec![DEFAULT; 2]));
    assert_eq!(store.user(nobody()).await, Ok(None));
}

pub(crate) async fn survive_reopening(engine: &dyn Engine) {
    let store = engine.open().await;
    let [ada] = people(&*store).await;
    let changed = change(&*store, ada, Some(false), Some(true)).await;
    drop(store);
    let store = engine.open().await;
    assert_eq!(store.settings(&[ada]).await, Ok(vec![changed]));
}
