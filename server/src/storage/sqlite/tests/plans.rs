//! How SQLite answers each statement: by walking indexes, never by reading a table through or sorting.

use super::*;

const PAGE: &str = "SEARCH messages USING INDEX messages_by_place \
     (conversation=? AND (created_at,id)>(?,?) AND (created_at,id)<(?,?))";
const BEHIND: &str =
    "SEARCH messages USING COVERING INDEX messages_by_place (conversation=? AND (created_at,id)>(?,?))";

#[tokio::test]
async fn every_statement_walks_an_index() {
    let (_dir, store) = store();
    let message = "SEARCH m USING INTEGER PRIMARY KEY (rowid>?)";
    let meta = "SEARCH meta USING INTEGER PRIMARY KEY (rowid=?)";
    let marker = "SEARCH markers USING PRIMARY KEY (user=? AND peer=?)";
    let user = "SEARCH users USING INDEX sqlite_autoindex_users_1 (id=?)";
    let id = "SEARCH messages USING INDEX sqlite_autoindex_messages_1 (id=?)";
    let id_from = "SEARCH messages USING INDEX sqlite_autoindex_messages_1 (id>?)";
    let mut wrong = Vec::new();
    for (sql, step) in [
        (pages::MESSAGE, id),
        (pages::OLDEST, PAGE),
        (pages::NEWEST, PAGE),
        (
            append::RECEIVER,
            "SEARCH users USING COVERING INDEX sqlite_autoindex_users_1 (id=?)",
        ),
        (
            append::BY_CLIENT_ID,
            "SEARCH m USING INDEX messages_by_client_id (client_message_id=? AND sender=?)",
        ),
        (
            append::CONVERSATION,
            "SEARCH conversations USING COVERING INDEX sqlite_autoindex_conversations_1 (low=? AND high=?)",
        ),
        (users::BY_ID, user),
        (
            users::BY_NAME,
            "SEARCH users USING INDEX sqlite_autoindex_users_2 (username=?)",
        ),
        (
            users::BY_EXTERNAL_ID,
            "SEARCH users USING INDEX users_by_external_id (external_id=?)",
        ),
        (users::SET_PROFILE, user),
        (users::SET_EXTERNAL_ID, user),
        (users::LIST, "SEARCH users USING INDEX sqlite_autoindex_users_1 (id>?)"),
        (users::PRESENCE, user),
        (users::SETTINGS, user),
        (users::CHANGED_SETTINGS, user),
        (users::CHANGE_SETTINGS, user),
        (access::ACCESS, user),
        (access::REVOKE, user),
        (access::SET_BAN, user),
        (sequence::LAST, meta),
        (sequence::LAST_MESSAGE, "SEARCH messages"),
        (
            sequence::LAST_STORED,
            "SEARCH messages USING INTEGER PRIMARY KEY (rowid=?)",
        ),
        (sequence::NEWEST_BY_ID, id_from),
        (sequence::RECORD, meta),
        (sequence::INSTANCE, meta),
        (sequence::FIRST_START, meta),
        (markers::MARKER, marker),
        (markers::PLACE, id),
        (feed::MESSAGE, "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)"),
        (runs::OF_USER, "SEARCH feed USING PRIMARY KEY (segment=? AND user=?)"),
        (feed::WAITING, message),
        (
            feed::OWN_MARKERS,
            "SEARCH markers USING INDEX markers_by_user (user=? AND change>?)",
        ),
        (
            feed::PEERS_MARKERS,
            "SEARCH markers USING INDEX markers_by_peer (peer=? AND change>?)",
        ),
        (
            inbox::PAGE,
            "SEARCH inbox USING COVERING INDEX inbox_by_place (owner=? AND (last_at,last_id)<(?,?))",
        ),
        (unread::SENDERS, BEHIND),
        (
            inbox::WITH_UNREAD,
            "SEARCH inbox USING COVERING INDEX inbox_unread (owner=?)",
        ),
        (unread::ALL_READ, "SEARCH inbox USING PRIMARY KEY (owner=? AND peer=?)"),
        (
            unread::ANSWERED,
            "SEARCH messages USING COVERING INDEX messages_by_place (conversation=?)",
        ),
        (
            inbox::ACQUAINTED,
            "SEARCH messages USING COVERING INDEX messages_by_place (conversation=?)",
        ),
        (projection::AFTER, message),
        (projected::PROJECTED, meta),
        (projected::ADVANCE, meta),
        (
            verify::FEED_FROM,
            "SEARCH feed USING PRIMARY KEY ((segment,user,first)>(?,?,?))",
        ),
        (
            verify::NOT_IN_FEED,
            "SEARCH feed USING PRIMARY KEY (segment=? AND user=? AND first=?)",
        ),
        (
            verify::INBOX_FROM,
            "SEARCH inbox USING PRIMARY KEY ((owner,peer)>(?,?))",
        ),
        (
            verify::LAST_IN_INBOX,
            "SEARCH inbox USING PRIMARY KEY (owner=? AND peer=?)",
        ),
        (
            verify::NOT_IN_INBOX,
            "SEARCH inbox USING PRIMARY KEY (owner=? AND peer=?)",
        ),
    ] {
        let plan = move |connection: &Connection| {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let parameters = vec![rusqlite::types::Null; statement.parameter_count()];
            let rows = statement.query_map(rusqlite::params_from_iter(parameters), |row| row.get::<_, String>(3))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let plan = store.readers.run(plan).await.unwrap();
        // What a subquery yields is no table.
        let bad = |step: &String| {
            step.contains("TEMP B-TREE") || step.contains("SCAN") && !step.starts_with("SCAN (subquery")
        };
        if !plan.iter().any(|found| found == step) || plan.iter().any(bad) {
            wrong.push((sql, plan));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
