//! Feeds and inboxes: what is right while they are not up to date, are built, or are wrong.

use super::*;

/// What the two tables hold.
async fn dump(store: &EmbeddedStore) -> Vec<String> {
    let dump = |connection: &Connection| {
        let mut statement = connection.prepare(
            "SELECT hex(owner) || ' ' || hex(peer) || ' ' || last_at || ' ' || hex(last_id) || ' ' || unread
             FROM inbox ORDER BY owner, peer",
        )?;
        let texts = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut rows = texts.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut statement = connection.prepare("SELECT DISTINCT segment, user FROM feed ORDER BY segment, user")?;
        let users = statement.query_map([], |row| Ok((row.get(0)?, UserId::from_bytes(row.get(1)?))))?;
        for (segment, user) in users.collect::<rusqlite::Result<Vec<_>>>()? {
            let numbers = runs::numbers(connection, segment, user)?;
            rows.extend(numbers.iter().map(|number| format!("{segment} {user} {number}")));
        }
        Ok(rows)
    };
    store.readers.run(dump).await.unwrap()
}

/// Waits until nothing is being built.
async fn built(store: &EmbeddedStore) -> Projection {
    loop {
        let projection = store.projection();
        assert!(projection.done <= projection.total, "{projection:?}");
        if !projection.building {
            return projection;
        }
        store.ping().await.unwrap();
    }
}

async fn all_changes(store: &EmbeddedStore, user: UserId) -> usize {
    let mut since = store.cursor(0);
    let mut found = 0;
    loop {
        let page = store.changes(user, &since, 1_000).await.unwrap();
        found += page.changes.len();
        since = page.next;
        if !page.more {
            assert_eq!(since, store.cursor(store.committed_position()));
            return found;
        }
    }
}

#[tokio::test]
async fn a_cursor_of_a_later_state_than_a_restored_backup_is_refused() {
    let (_dir, store) = store();
    let ada = user(&store, "ada").await;
    store.append(&messages(ada, 0..10, 10)).await;
    let last = store.committed_position();
    assert_eq!(last, 10);
    for point in [0, 3, last] {
        assert!(store.changes(ada, &store.cursor(point), 5).await.is_ok());
    }
    let mut within = store.cursor(3);
    within.page = Some(crate::domain::PageEnd { at: AT, key: vec![1] });
    for cursor in [store.cursor(last + 1), store.cursor(-1), store.cursor(i64::MIN), within] {
        let refused = store.changes(ada, &cursor, 5).await;
        assert!(matches!(refused, Err(ChangesError::Reset(_))), "{cursor:?}");
    }
}

/// Nothing is lost or doubled in feeds and inboxes by a disk that has no room for them.
#[tokio::test]
async fn a_full_disk_stops_the_projection_until_there_is_room() {
    let (_dir, store) = store();
    let ada = user(&store, "ada").await;
    let limit = |pages: i64| {
        move |connection: &Connection| {
            connection.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0))
        }
    };
    // In one group, so that no step comes in between.
    let (release, released) = mpsc::channel::<()>();
    let batch = messages(ada, 0..3_000, 10);
    let (_, stored, full, _) = tokio::join!(
        biased;
        store.writer.run(move |_| Ok(released.recv().is_err())),
        store.append(&batch),
        store.writer.run(limit(1)),
        async { drop(release) },
    );
    assert!(stored.iter().all(Result::is_ok));
    full.unwrap();

    let StoreError::Unavailable(text) = store.inbox(ada, None, 10).await.unwrap_err() else {
        panic!("not Unavailable")
    };
    assert!(text.contains("full"), "{text}");
    assert_eq!(store.total_unread(ada, 10).await.map_err(|_| ()), Err(()));
    // A feed needs no projection, and the writer lives.
    assert_eq!(all_changes(&store, ada).await, 3_000);
    store.writer.run(limit(1_000_000)).await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.inbox(ada, None, 10).await.unwrap().len(), 1);
    assert_eq!(all_changes(&store, ada).await, 3_000);
    assert_eq!(dump(&store).await.len(), 3_001);
}

/// A database of the first version, filled without this program.
fn old_database(path: &Path, people: usize, messages: usize) {
    let connection = Connection::open(path.join("chat.db")).unwrap();
    connection.execute_batch(schema::MIGRATIONS[0]).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let fill = format!(
        "BEGIN;
        WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {people})
        INSERT INTO users (id, username, is_online) SELECT CAST(printf('user%08d', i) AS BLOB), i, 1 FROM n;
        INSERT INTO conversations (low, high)
        SELECT a.id, b.id FROM users a JOIN users b ON b.pk BETWEEN a.pk AND a.pk + 3;
        WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {messages})
        INSERT INTO messages (id, conversation, sender, text, created_at, updated_at)
        SELECT CAST(printf('m%011d', i) AS BLOB), c.pk, iif(i % 3, c.low, c.high), 'text', i / 7, i / 7
        FROM n JOIN conversations c ON c.pk = 1 + i * 31 % (SELECT count(*) FROM conversations);
        COMMIT;"
    );
    connection.execute_batch(&fill).unwrap();
}

#[tokio::test]
async fn an_old_database_is_built_in_the_background_and_goes_on_after_a_crash() {
    const PEOPLE: usize = 40;
    const MESSAGES: usize = 60_000;
    let dir = tempfile::tempdir().unwrap();
    old_database(dir.path(), PEOPLE, MESSAGES);

    let store = EmbeddedStore::open(dir.path()).unwrap();
    let ada = store.list_users(None, 1).await.unwrap()[0].id;
    let (release, released) = mpsc::channel::<()>();
    let held = store.writer.run(move |_| Ok(released.recv().is_err()));
    let meanwhile = async {
        let begun = store.projection();
        assert!(!begun.ready && begun.building, "{begun:?}");
        assert!(begun.done < begun.total && begun.total == MESSAGES as u64, "{begun:?}");
        let unavailable = store.inbox(ada, None, 10).await.unwrap_err();
        assert_eq!(
            unavailable,
            StoreError::Unavailable("inboxes are being built".to_owned())
        );
        drop(release);
    };
    let (held, ()) = tokio::join!(biased; held, meanwhile);
    assert_eq!(held, Ok(true));
    drop(store);
    let projected = projected::projected(&Connection::open(dir.path().join("chat.db")).unwrap()).unwrap();
    assert!(projected < MESSAGES as i64, "it was not interrupted");

    let store = EmbeddedStore::open(dir.path()).unwrap();
    assert_eq!(store.projection().total, MESSAGES as u64 - projected.unsigned_abs());
    // Feeds are right meanwhile, and what is new comes at once.
    let since = store.cursor(store.committed_position());
    assert!(store.append(&messages(ada, 0..5, 10)).await.iter().all(Result::is_ok));
    let page = store.changes(ada, &since, 10).await.unwrap();
    assert_eq!((page.changes.len(), page.more), (5, false));
    let feed = all_changes(&store, ada).await;
    let done = built(&store).await;
    assert!(done.ready && done.done == done.total, "{done:?}");
    assert_eq!(all_changes(&store, ada).await, feed);
    let inbox = store.inbox(ada, None, 100).await.unwrap();
    assert!(inbox.is_sorted_by(|a, b| a.last > b.last));
    // The first has conversations with three others and with themself.
    assert_eq!(inbox.len(), 4);

    let rows = dump(&store).await;
    let (own, others) = store
        .readers
        .run(|connection| {
            let sql = "SELECT sum(c.low = c.high), sum(c.low <> c.high)
                FROM messages m JOIN conversations c ON c.pk = m.conversation";
            connection.query_row(sql, [], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?)))
        })
        .await
        .unwrap();
    // A pair of users has two rows in the inboxes, and a user alone one.
    let conversations = PEOPLE + 2 * (3 * PEOPLE - 6);
    assert_eq!(rows.len(), (own + 2 * others) as usize + conversations);
    // Building it all again changes nothing that was right.
    store.rebuild().await.unwrap();
    assert!(store.projection().building && store.projection().ready);
    let again = built(&store).await;
    assert_eq!(
        (again.ready, again.done, again.total),
        (true, MESSAGES as u64 + 5, MESSAGES as u64 + 5)
    );
    assert!(dump(&store).await == rows);
}

#[tokio::test]
async fn a_rebuild_repairs_whatever_is_wrong() {
    let (_dir, store) = store();
    let [ada, bob, eve] = [
        user(&store, "ada").await,
        user(&store, "bob").await,
        user(&store, "eve").await,
    ];
    let batch: Vec<_> = messages(ada, 0..50, 10)
        .into_iter()
        .enumerate()
        .map(|(number, message)| NewMessage {
            sender: if number % 3 == 0 { ada } else { bob },
            receiver: if number % 3 == 0 { bob } else { [ada, eve][number % 2] },
            ..message
        })
        .collect();
    assert!(store.append(&batch).await.iter().all(Result::is_ok));
    store.inbox(ada, None, 10).await.unwrap();
    let right = dump(&store).await;
    for wrong in [
        "DELETE FROM feed",
        "DELETE FROM inbox",
        "DELETE FROM feed WHERE user = (SELECT min(id) FROM users)",
        "UPDATE feed SET numbers = substr(numbers, 1, 4)",
        "UPDATE feed SET numbers = CAST(numbers || x'3000' AS BLOB)",
        "UPDATE feed SET numbers = x'ff'",
        "INSERT INTO feed SELECT 0, id, 1000, x'03e8' FROM users",
        "INSERT INTO feed SELECT 0, id, 3, x'0003' FROM users WHERE true ON CONFLICT DO NOTHING",
        "INSERT INTO feed SELECT 7, user, first, numbers FROM feed",
        "UPDATE feed SET segment = 3",
        "INSERT INTO inbox SELECT id, id, 7, id, 1 FROM users",
        "UPDATE inbox SET last_at = last_at + 5",
        "UPDATE inbox SET last_at = last_at - 5",
        "UPDATE inbox SET last_id = x'000000000000000000000000'",
        "UPDATE inbox SET unread = 0",
        "DELETE FROM feed; UPDATE inbox SET last_at = 0, unread = 0",
    ] {
        store
            .writer
            .run(move |connection| connection.execute_batch(wrong))
            .await
            .unwrap();
        assert!(dump(&store).await != right, "{wrong}");
        store.rebuild().await.unwrap();
        assert!(built(&store).await.ready);
        assert_eq!(dump(&store).await, right, "{wrong}");
    }
}
