//! Figures, to be looked at: `cargo test --release -p server --lib figures -- --ignored --nocapture`.

use super::*;

const PEERS: usize = 10_000;
const MESSAGES: usize = 2_000_000;

/// Two million messages as the first version stored them. Half are of one user's 10,000 conversations, two of three
/// by the other side, in the order of time and not of conversations; the rest are between others.
fn fill(path: &Path) {
    let connection = Connection::open(path.join("chat.db")).unwrap();
    connection.execute_batch(schema::MIGRATIONS[0]).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let half = MESSAGES / 2;
    let fill = format!(
        "BEGIN;
        WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < {PEERS})
        INSERT INTO users (id, username, is_online) SELECT CAST(printf('user%08d', i) AS BLOB), i, 0 FROM n;
        INSERT INTO conversations (low, high) SELECT (SELECT id FROM users WHERE pk = 1), id FROM users WHERE pk > 1;
        INSERT INTO conversations (low, high)
        SELECT a.id, b.id FROM users a JOIN users b ON b.pk BETWEEN a.pk + 1 AND a.pk + 3 WHERE a.pk > 1;
        WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {MESSAGES})
        INSERT INTO messages (id, conversation, sender, text, created_at, updated_at)
        SELECT CAST(printf('m%011d', i) AS BLOB), c.pk, iif(i / {PEERS} % 3 <> 1, c.high, c.low),
            'some text of the usual length, which is about a line or so', i, i
        FROM n JOIN conversations c ON c.pk = iif(i < {half}, 1 + i * 7919 % {PEERS}, 1 + {PEERS} + i * 7919 % 29000);
        COMMIT;"
    );
    connection.execute_batch(&fill).unwrap();
}

/// Milliseconds that something took: the median and the longest of some times.
async fn times(what: &str, mut once: impl AsyncFnMut(usize)) {
    let mut all = Vec::new();
    for round in 0..50 {
        let began = Instant::now();
        once(round).await;
        all.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    all.sort_by(f64::total_cmp);
    println!("{what}: median {:.2} ms, longest {:.2} ms", all[25], all[49]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute, and means something only with --release"]
async fn an_inbox_among_two_million_messages() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    fill(dir.path());
    println!("filled in {:?}", began.elapsed());
    let began = Instant::now();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    println!("migrated in {:?}", began.elapsed());
    let began = Instant::now();
    while store.projection().building {
        store.user(UserId::from_bytes([0; 12])).await.unwrap();
    }
    println!("built in {:?}: {:?}", began.elapsed(), store.projection());
    let owner = store.list_users(None, 1).await.unwrap()[0].id;

    let page = async |after| {
        let page = store.inbox(owner, after, 50).await.unwrap();
        let pairs: Vec<_> = page.iter().map(|entry| (owner, entry.peer)).collect();
        let summaries = store.summaries(&pairs).await.unwrap();
        assert!(page.len() == 50 && summaries.iter().all(|summary| summary.unread > 0));
        let total = store.total_unread(owner, shared::limits::MAX_UNREAD).await.unwrap();
        assert_eq!(total, shared::limits::MAX_UNREAD);
        page.last().map(|entry| entry.last)
    };
    let mut after = None;
    let began = Instant::now();
    for _ in 0..PEERS / 50 {
        after = page(after).await;
    }
    println!("{PEERS} conversations in {:?}", began.elapsed());
    let mut after = None;
    times("a page of 50", async |_| after = page(after).await).await;

    // All but one in a hundred read: then the total has to find those.
    let peers = store.inbox(owner, None, PEERS).await.unwrap();
    let read = peers.iter().enumerate().filter(|(number, _)| number % 100 != 0);
    let marks: Vec<_> = read
        .map(|(_, entry)| Mark {
            user: owner,
            peer: entry.peer,
            kind: crate::domain::MarkKind::Read,
            up_to: entry.last.id,
            at: AT,
        })
        .collect();
    let began = Instant::now();
    for marks in marks.chunks(500) {
        assert!(store.mark(marks).await.iter().all(Result::is_ok));
    }
    println!("{} marks in {:?}", marks.len(), began.elapsed());
    times("total unread, nearly all read", async |_| {
        store.total_unread(owner, u32::MAX).await.unwrap();
    })
    .await;
    times("200 changes", async |round| {
        let since = store.cursor(round as i64 * 10_000);
        store.changes(owner, &since, 200).await.unwrap();
    })
    .await;
    let began = Instant::now();
    store.rebuild().await.unwrap();
    while store.projection().building {
        store.user(UserId::from_bytes([0; 12])).await.unwrap();
    }
    println!("rebuilt in {:?}", began.elapsed());
    let size = std::fs::metadata(dir.path().join("chat.db")).unwrap().len();
    println!("{} MB", size / 1_000_000);
}
