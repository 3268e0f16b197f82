//! What a user lets others know.

use server::store::Store;
use shared::{Settings, SettingsChange, UserId};

use crate::data::{nobody, now, people};
use crate::engine::Engine;

const DEFAULT: Settings = Settings {
    read_receipts: true,
    invisible: false,
};

async fn change(store: &dyn Store, user: UserId, read_receipts: Option<bool>, invisible: Option<bool>) -> Settings {
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
    };
    assert_eq!(change(&*store, ada, Some(false), None).await, settings(false, false));
    assert_eq!(change(&*store, ada, None, Some(true)).await, settings(false, true));
    assert_eq!(change(&*store, ada, None, None).await, settings(false, true));
    assert_eq!(
        change(&*store, ada, Some(false), Some(true)).await,
        settings(false, true)
    );
    assert_eq!(change(&*store, ada, Some(true), None).await, settings(true, true));
    assert_eq!(
        change(&*store, bob, Some(false), Some(false)).await,
        settings(false, false)
    );
    let stored = store.settings(&[bob, ada, bob]).await.unwrap();
    assert_eq!(
        stored,
        [settings(false, false), settings(true, true), settings(false, false)]
    );
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
