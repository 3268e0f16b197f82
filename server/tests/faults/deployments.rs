//! Which MongoDB is meant, and what to do about one that can't be used: in words that say what to run or to write.

use std::path::Path;
use std::time::Duration;

use bson::{Document, doc, oid::ObjectId};
use mongodb::Client;
use testkit::mongod::Mongod;
use testkit::process::{Process, eventually};
use testkit::{Server, Setup};

use crate::start::{Ended, run_to_end, start};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs commands of the driver.
fn with_client<T>(uri: &str, work: impl AsyncFnOnce(Client) -> T) -> T {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = Client::with_uri_str(uri).await.expect("a client");
        let done = work(client.clone()).await;
        client.shutdown().immediate(true).await;
        done
    })
}

fn insert(uri: &str, database: &str, collection: &str, documents: &[Document]) {
    with_client(uri, async |client| {
        let collection = client.database(database).collection::<Document>(collection);
        collection.insert_many(documents).await.expect("they are stored");
    });
}

fn runs(folder: &Path, uri: &str) -> Process {
    let (process, _) = start(folder, &[("PORT", "0"), ("MONGO_URI", uri)]);
    // The log is written in its own time; this is its last line about the start.
    eventually("the log says it, too", TIMEOUT, || {
        process.stderr().contains("listening").then_some(())
    });
    process
}

fn fails(uri: &str) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    run_to_end(folder.path(), &[], &[("PORT", "0"), ("MONGO_URI", uri)])
}

/// Waits until a server has said in both places which database it uses.
fn says_its_database(server: &Process, name: &str) {
    let line = format!("Messages are kept in the database {name} on 127.0.0.1:");
    eventually("the start names the database", TIMEOUT, || {
        server.stdout().contains(&line).then_some(())
    });
    let log = server.stderr();
    let named = format!("database=\"{name}\"");
    assert!(log.contains(&named), "{log}");
    assert!(server.stdout().lines().any(|line| line == "MongoDB connected"));
}

#[test]
fn a_string_without_a_database_means_the_one_that_holds_users() {
    let deployment = Mongod::standalone();
    let folder = tempfile::tempdir().expect("a folder");
    // Mongoose goes to `test`; other programs have users there, too.
    insert(
        &deployment.uri(),
        "test",
        "users",
        &[doc! { "email": "of another program" }],
    );
    says_its_database(&runs(folder.path(), &deployment.uri()), "realtime_chat");

    let ada = doc! { "username": "ada", "isOnline": false, "__v": 0 };
    insert(&deployment.uri(), "test", "users", std::slice::from_ref(&ada));
    for uri in [
        deployment.uri(),
        deployment.uri() + "/",
        deployment.uri() + "/?retryWrites=true",
    ] {
        says_its_database(&runs(folder.path(), &uri), "test");
    }
    says_its_database(&runs(folder.path(), &(deployment.uri() + "/named")), "named");

    insert(&deployment.uri(), "realtime_chat", "users", &[ada]);
    let ended = fails(&deployment.uri());
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(
        ["MONGO_URI", "realtime_chat", "test"]
            .iter()
            .all(|name| ended.stderr.contains(name)),
        "{}",
        ended.stderr
    );
    assert!(!ended.stdout.contains("MongoDB connected"), "{}", ended.stdout);
    says_its_database(&runs(folder.path(), &(deployment.uri() + "/test")), "test");
}

/// What the drivers of Node.js read, and this one does not.
#[test]
fn a_string_that_node_takes_will_do() {
    let deployment = Mongod::standalone();
    let folder = tempfile::tempdir().expect("a folder");
    let options = "family=4&socketTimeoutMS=45000&compressors=snappy,zlib&zlibCompressionLevel=6&j=true&wtimeout=2500&w=majority&\
                   authMechanism=DEFAULT&maxPoolSize=0&readPreference=secondaryPreferred&maxStalenessSeconds=120&\
                   readPreferenceTags=dc:x&noDelay=true&heartbeatFrequencyMS=100&timeoutMS=9000&retryWrites=true";
    let server = runs(folder.path(), &format!("{}/chat?{options}", deployment.uri()));
    says_its_database(&server, "chat");
    let log = server.stderr();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("mean nothing here")).collect();
    assert_eq!(said.len(), 1, "{log}");
    assert!(
        said[0].contains("family") && !said[0].contains("retryWrites"),
        "{}",
        said[0]
    );
    let ended = fails(&format!("{}/chat?retryWrites=true&famly=4&w=1", deployment.uri()));
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    let last = ended.stderr.lines().last().expect("a line");
    assert!(last.ends_with("one of its options is wrong: famly"), "{last}");
}

/// A name with a mistake in it makes a new database, in which no token is good.
#[test]
fn a_database_without_users_beside_one_with_them_is_said() {
    let deployment = Mongod::standalone();
    let warns = |server: &Server| {
        let log = server.stderr();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("holds no users")).collect();
        lines.join("\n")
    };
    let run = |database: &str| Setup::on(&format!("{}/{database}", deployment.uri())).start();
    assert_eq!(warns(&run("chat")), "", "there are users nowhere");
    let ada = doc! { "username": "ada", "isOnline": false, "__v": 0 };
    insert(&deployment.uri(), "test", "users", std::slice::from_ref(&ada));
    let server = run("chatt");
    let said = warns(&server);
    assert!(
        said.contains("WARN") && said.contains("chatt") && said.contains("`test`") && said.lines().count() == 1,
        "{said}"
    );
    assert_eq!(warns(&run("test")), "");
}

#[test]
fn a_replica_set_that_can_not_be_used_is_told_with_what_to_run() {
    let cases = |deployment: &Mongod, options: &str, words: &[&str]| {
        let ended = fails(&format!("{}/chat?{options}", deployment.uri()));
        assert_eq!(ended.status.code(), Some(1), "{options}: {}", ended.stderr);
        let last = ended.stderr.lines().last().expect("a line");
        assert!(words.iter().all(|word| last.contains(word)), "{options}: {last}");
        assert!(!last.contains("Topology"), "that is the driver's account: {last}");
    };
    let uninitiated = Mongod::uninitiated();
    let host = uninitiated.uri().replace("mongodb://", "");
    let run = format!("mongosh {host}/admin --eval 'rs.initiate()'");
    for options in ["", "replicaSet=testkit", "directConnection=true"] {
        cases(&uninitiated, options, &["not initiated", &run]);
    }
    drop(uninitiated);
    let standalone = Mongod::standalone();
    cases(
        &standalone,
        "replicaSet=rs0",
        &["no replica set", "remove replicaSet=rs0"],
    );
    let set = Mongod::replica_set(1);
    cases(
        &set,
        "replicaSet=rs0",
        &["is called testkit", "write replicaSet=testkit"],
    );
}

#[test]
fn what_tls_and_dns_have_to_do_with_it_is_told() {
    let standalone = Mongod::standalone();
    for option in ["tls=true", "ssl=true"] {
        let ended = fails(&format!("{}/chat?{option}", standalone.uri()));
        let last = ended.stderr.lines().last().expect("a line");
        assert!(
            last.contains("without TLS") && last.contains("remove tls=true"),
            "{last}"
        );
    }
    let ended = fails("mongodb+srv://joe:hunter2@cluster.invalid/chat");
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let last = ended.stderr.lines().last().expect("a line");
    assert!(last.contains("cluster.invalid can't be looked up"), "{last}");
    assert!(!last.contains("Query {") && !last.contains("hunter2"), "{last}");
}

#[test]
fn a_login_that_is_refused_is_told_with_where_it_was_looked_for() {
    let deployment = Mongod::standalone();
    with_client(&deployment.uri(), async |client| {
        let user = doc! { "createUser": "joe", "pwd": "hunter2", "roles": ["readWriteAnyDatabase"] };
        client.database("admin").run_command(user).await.expect("a user");
    });
    let login = deployment.uri().replace("mongodb://", "mongodb://joe:hunter2@");
    for (uri, hint) in [
        (format!("{login}/chat"), "add ?authSource=admin"),
        (format!("{login}/chat?retryWrites=true"), "add &authSource=admin"),
        (
            format!("{login}/chat?authSource=other"),
            "the database other, which authSource names",
        ),
    ] {
        let ended = fails(&uri);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(hint), "{hint}: {}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    let folder = tempfile::tempdir().expect("a folder");
    runs(folder.path(), &format!("{login}/chat?authSource=admin"));
}

#[test]
fn documents_that_nobody_will_see_are_counted_at_the_start() {
    let deployment = Mongod::standalone();
    let id = ObjectId::new;
    let text = || id().to_hex();
    let fine = (0..3).map(|_| doc! { "sender": id(), "receiver": id(), "message": "hush" });
    // Old data has holes: these are seen.
    let hole = doc! { "sender": id(), "message": "hush" };
    let texts = (0..4).map(|_| doc! { "sender": text(), "receiver": text(), "message": "hush" });
    let half = doc! { "sender": id(), "receiver": text(), "message": "hush" };
    let renamed = (0..1_200).map(|_| doc! { "from": id(), "to": id(), "text": "hush" });
    let foreign_ids = [
        doc! { "_id": 7, "sender": id(), "receiver": id() },
        doc! { "_id": "7", "sender": id(), "receiver": id() },
    ];
    let undated = [
        doc! { "sender": id(), "receiver": id(), "createdAt": "2026-11-23T10:03:42.886Z" },
        doc! { "sender": id(), "createdAt": 1_i64 },
    ];
    let others = fine.chain([hole, half]).chain(foreign_ids).chain(undated);
    let messages: Vec<Document> = others.chain(texts).chain(renamed).collect();
    insert(&deployment.uri(), "chat", "messages", &messages);
    let users = [doc! { "_id": text(), "username": "ada" }, doc! { "username": "bob" }];
    insert(&deployment.uri(), "chat", "users", &users);

    let folder = tempfile::tempdir().expect("a folder");
    let server = runs(folder.path(), &(deployment.uri() + "/chat"));
    let log = server.stderr();
    for words in [
        "5 messages have ids as text",
        "1000 or more messages have neither `sender` nor `receiver`",
        "1 users have a text as `_id`",
        "2 messages have a text or a number as `_id`",
        "2 of the oldest and newest messages have a `createdAt` that is no date",
    ] {
        let said = log.lines().filter(|line| line.contains("WARN") && line.contains(words));
        assert_eq!(said.count(), 1, "{words}: {log}");
    }
    assert!(!log.contains("hush"), "{log}");
    drop(server);
    let server = runs(folder.path(), &(deployment.uri() + "/another"));
    assert!(!server.stderr().contains("nobody sees them"), "{}", server.stderr());
}
