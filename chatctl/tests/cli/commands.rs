//! Every command but `chat`, with all its arguments: what it prints, and what it says when that doesn't work.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use testkit::process::eventually;
use testkit::server::{fresh_database, with_database};
use testkit::{Engine, Server, Setup, mongod};

use crate::program::{Script, TIMEOUT, bare, chatctl, command, ended};
use crate::{server, users};

/// Three messages from the first user to the second.
fn write_three(me: &str, peer: &str) {
    let mut script = Script::connected(server(), me, peer, &[]);
    ["one", "two\x1b[31m", "three"]
        .into_iter()
        .for_each(|text| script.line(text));
    script.close();
    let (code, events, _) = script.end();
    assert_eq!((code, events.len()), (0, 3));
}

#[test]
fn seed_creates_users_once() {
    let server = Server::start(Engine::Embedded);
    let first = chatctl(&server, &["seed", "users"]).output();
    let rows: Vec<Vec<&str>> = first.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[0][0], rows[1][0], rows.len()), ("userA", "userB", 2));
    assert!(first.contains("created") && !first.contains("exists"));

    let again = chatctl(&server, &["seed", "users", "userB", "zoë", "userA"]).output();
    assert_eq!(
        again.lines().filter(|line| line.ends_with("exists")).count(),
        2,
        "{again}"
    );
    for row in rows {
        assert!(again.contains(row[1]), "the ids stay\n{again}");
    }
    let again = chatctl(&server, &["seed", "users", "zoë", "--json"]).json();
    assert_eq!(
        (&again[0]["username"], &again[0]["created"]),
        (&json!("zoë"), &json!(false))
    );
}

#[test]
fn seed_creates_many_users_and_users_lists_them() {
    let server = Server::start(Engine::Embedded);
    assert_eq!(chatctl(&server, &["users", "--json"]).json(), json!([]));
    let none = chatctl(&server, &["users"]);
    assert!(none.stderr.contains("chatctl seed users"), "{none:?}");

    let created = chatctl(&server, &["seed", "users", "--count", "1201"]).output();
    assert_eq!(created.lines().count(), 1_201);
    assert!(created.starts_with("user0001  ") && created.contains("\nuser1201  "));
    let listed = chatctl(&server, &["users", "--json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1_201));
    assert_eq!(chatctl(&server, &["users"]).output().lines().count(), 1_201);
}

#[test]
fn users_shows_who_is_there() {
    let [(ada, id), (bob, _)] = users(server());
    let online = Script::connected(server(), &ada, &bob, &["--stay"]);
    // The server notes presence a moment after it has accepted a connection.
    let list = eventually("somebody is online", TIMEOUT, || {
        let list = chatctl(server(), &["users"]).output();
        list.contains(&format!("● {ada}")).then_some(list)
    });
    let row = |name: &str| list.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(row(&ada).starts_with('●') && row(&ada).contains(&id) && row(&ada).ends_with("online"));
    assert!(row(&bob).starts_with('○') && row(&bob).ends_with("never seen"));
    drop(online);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let [(ada, _), (bob, _)] = users(server());
    let chat = ["chat", "--as", &ada, "--with", &bob];
    for arguments in [&["users"] as &[&str], &["users", "--json"], &chat] {
        let mut child = command(server(), arguments);
        child
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        drop(child.stdout.take());
        // What chats has something to say; the others end without reading it.
        let _ = child.stdin.take().unwrap().write_all(b"hello\n");
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn an_error_that_cannot_be_shown_is_in_the_exit_status() {
    for (arguments, expected) in [(["history", "nobody", "nowhere"], 1), (["inbox", "--as", "nobody"], 1)] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let status = command(server(), &arguments).stderr(full).status().unwrap();
        assert_eq!(status.code(), Some(expected), "{arguments:?}");
    }
}

#[test]
fn tokens_are_accepted() {
    let [(ada, id)] = users(server());
    let token = chatctl(server(), &["token", &ada]).output();
    assert_eq!(token.lines().count(), 1);
    assert_eq!(server().get("/users/me", token.trim_end()).json()["_id"], *id);
    assert_eq!(server().get("/users", token.trim_end()).code(), "forbidden");

    let admin = chatctl(server(), &["token", "--admin"]).output();
    assert_eq!(server().get("/users", admin.trim_end()).status, 200);
    let admin = chatctl(server(), &["token", &ada, "--admin", "--json"]).json();
    assert_eq!(admin["userId"], *id);
    assert_eq!(server().get("/users", admin["token"].as_str().unwrap()).status, 200);
}

#[test]
fn a_user_whose_name_looks_like_an_id_is_found_by_it_and_by_the_id() {
    let name = format!("{:024x}", rand::random::<u128>() >> 32);
    let [id] = server().users([name.as_str()]);
    let [(ada, _)] = users(server());
    for who in [&name, &id] {
        assert_eq!(chatctl(server(), &["history", who, &ada]).output(), "", "{who}");
        assert_eq!(
            chatctl(server(), &["token", who, "--json"]).json()["userId"],
            *id,
            "{who}"
        );
    }
    let nobody = "ffffffffffffffffffffffff";
    let error = chatctl(server(), &["history", nobody, &ada]).complaint(1);
    assert!(error.contains(nobody), "{error}");
}

#[test]
fn tokens_hold_as_long_as_asked() {
    let id = "6945576383968f286a0ff5f9";
    // With an id no server is needed.
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = bare(folder.path(), arguments);
        command
            .env("JWT_SECRET", "a secret")
            .env("CHAT_URL", "http://127.0.0.1:1");
        ended(command)
    };
    let before = testkit::token::seconds();
    let expires = |token: Value| token["exp"].as_u64().unwrap() - before;
    assert!((3_600..3_660).contains(&expires(run(&["token", id, "--json"]).json())));
    let week = 7 * 24 * 3_600;
    assert!((week..week + 60).contains(&expires(run(&["token", id, "--expires", "7d", "--json"]).json())));
    for wrong in ["soon", "0s", "200y"] {
        assert_eq!(run(&["token", id, "--expires", wrong]).code, 2, "{wrong}");
    }
}

#[test]
fn history_is_shown_with_names_and_times() {
    let [(ada, ada_id), (bob, bob_id)] = users(server());
    assert_eq!(chatctl(server(), &["history", &ada, &bob]).output(), "");
    write_three(&ada, &bob);
    let history = chatctl(server(), &["history", &bob, &ada_id]).output();
    let lines: Vec<&str> = history.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines[0].starts_with("20") && lines[0].ends_with(&format!("  {ada}  one")),
        "{history}"
    );
    assert!(
        lines[1].ends_with("two␛[31m"),
        "escape sequences of others do nothing: {history}"
    );

    let last = chatctl(server(), &["history", &ada, &bob, "--limit", "2"]).output();
    assert_eq!(last.lines().collect::<Vec<_>>(), lines[1..]);
    let raw = chatctl(server(), &["history", &ada, &bob, "--json"]).output();
    let path = format!("/chat/history/{ada_id}/{bob_id}");
    assert_eq!(raw.trim_end(), server().get(&path, &server().admin_token()).body);
    let last = chatctl(server(), &["history", &ada, &bob, "--json", "--limit", "1"]).json();
    assert_eq!((&last[0]["message"], &last[1]), (&json!("three"), &Value::Null));
}

#[test]
fn history_takes_more_than_one_page() {
    let [(ada, _), (bob, _)] = users(server());
    let mut script = Script::connected(server(), &ada, &bob, &[]);
    (1..=450).for_each(|number| script.line(&format!("number {number}")));
    script.close();
    assert_eq!(script.end().0, 0);
    let history = chatctl(server(), &["history", &ada, &bob, "--limit", "410"]).output();
    let numbers: Vec<&str> = history.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    let expected: Vec<String> = (41..=450).map(|number| number.to_string()).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn what_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = bare(folder.path(), arguments);
        command.envs(variables.iter().copied());
        ended(command)
    };
    let no_secret = run(&["users"], &[]).complaint(1);
    assert!(
        no_secret.contains("JWT_SECRET") && no_secret.contains("data/jwt_secret"),
        "{no_secret}"
    );
    let no_server = run(&["users"], &[("JWT_SECRET", "x"), ("CHAT_URL", "http://127.0.0.1:1")]).complaint(1);
    assert!(
        no_server.contains("http://127.0.0.1:1") && no_server.contains("CHAT_URL"),
        "{no_server}"
    );
    assert!(no_server.contains("start it with `cargo run`"), "{no_server}");
    let empty = run(&["users"], &[("JWT_SECRET", "")]).complaint(1);
    assert!(empty.contains("empty"), "{empty}");

    let url = server().url();
    let refused = run(&["users"], &[("JWT_SECRET", "wrong"), ("CHAT_URL", &url)]).complaint(1);
    assert!(refused.contains("refused the token"), "{refused}");
    let nobody = chatctl(server(), &["history", "nobody at all", "nor here"]).complaint(1);
    assert!(nobody.contains("chatctl seed users"), "{nobody}");
    let nobody = chatctl(server(), &["history", "00000000000000000000000f", "nor here"]).complaint(1);
    assert!(nobody.contains("00000000000000000000000f"), "{nobody}");
    let refused = chatctl(server(), &["seed", "users", " spaced "]).complaint(1);
    assert!(refused.contains("invalid_request"), "{refused}");
}

#[test]
fn what_answers_in_another_way_than_the_server_is_told_apart() {
    let run = |url: &str| {
        let mut command = bare(server().folder(), &["users"]);
        command.env("JWT_SECRET", "x").env("CHAT_URL", url);
        ended(command)
    };
    // Nobody takes the connections from the system.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let complaint = run(&url).stderr;
    assert!(complaint.contains("does not answer: it hangs"), "{complaint}");
    assert!(!complaint.contains("cargo run"), "{complaint}");

    let secure = server().url().replace("http://", "https://");
    let complaint = run(&secure).complaint(1);
    assert!(complaint.contains("speaks no TLS; write http://"), "{complaint}");
    // It would go to port 80 otherwise.
    let complaint = run("http://127.0.0.1:99999").complaint(2);
    assert!(complaint.contains("from 1 to 65535"), "{complaint}");
    let folder = tempfile::tempdir().expect("a folder");
    File::create(folder.path().join("data")).expect("a file");
    let complaint = ended(bare(folder.path(), &["users"])).complaint(1);
    assert_eq!(complaint.matches("Not a directory").count(), 1, "{complaint}");
}

#[test]
fn wrong_usage_is_status_2() {
    for arguments in [
        &["history", "userA"][..],
        &["token"],
        &["chat"],
        &["chat", "--as", "userA"],
        &["inbox"],
        &["watch"],
    ] {
        let hint = chatctl(server(), arguments).complaint(2);
        assert!(hint.contains("chatctl"), "{hint}");
    }
    for arguments in [
        &["dance"][..],
        &["users", "--url", "127.0.0.1:5000"],
        &["history", "a", "b", "--limit", "0"],
        &["seed", "users", "ada", "--count", "3"],
        &["seed", "users", "--count", "0"],
        &["inbox", "--as", "a", "--limit", "0"],
        &["chat", "--as", "a", "--with", "b", "--wait", "long"],
    ] {
        let run = chatctl(server(), arguments);
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (2, ""),
            "{arguments:?}: {}",
            run.stderr
        );
    }
}

#[test]
fn old_data_is_readable_with_its_twins_and_holes() {
    let uri = with_database(&mongod::uri(), &fresh_database());
    let folder = testkit::workspace().join("server/tests/legacy");
    testkit::node::run("load.js", &json!({"uri": uri, "folder": folder}));
    let server = Setup::on(&uri).start();

    let twins = ["69455b2183968f286a0ff601", "69455b2183968f286a0ff602"];
    let hint = chatctl(&server, &["token", "userC"]).complaint(1);
    assert!(twins.iter().all(|id| hint.contains(id)), "{hint}");
    assert_eq!(chatctl(&server, &["users"]).output().lines().count(), 4);
    let history = chatctl(&server, &["history", "userA", "userB"]).output();
    assert!(history.contains("(no text)"), "{history}");
    let raw = chatctl(&server, &["history", "userA", "userB", "--json"]).output();
    assert_eq!(
        raw.trim_end(),
        fs::read_to_string(folder.join("history-userA-userB.json"))
            .unwrap()
            .trim_end()
    );
}

#[test]
fn settings_are_found_where_the_server_keeps_them() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let run = |variables: &[(&str, &str)]| {
        let mut command = bare(folder.path(), &["users", "--json"]);
        command.env("CHAT_URL", server.url()).envs(variables.iter().copied());
        ended(command)
    };
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/jwt_secret"), format!("{}\n", server.secret())).unwrap();
    run(&[]).json();
    fs::rename(folder.path().join("data"), folder.path().join("elsewhere")).unwrap();
    run(&[]).complaint(1);
    run(&[("DATA_DIR", "elsewhere")]).json();
    fs::write(
        folder.path().join(".env"),
        format!("JWT_SECRET=\"{}\"\n", server.secret()),
    )
    .unwrap();
    run(&[]).json();
    // As Node.js reads it.
    let file = format!(
        "not a line\nJWT_SECRET=no#b\nAPP_NAME=My Chat\nJWT_SECRET: {}\n",
        server.secret()
    );
    fs::write(folder.path().join(".env"), file).unwrap();
    run(&[]).json();
    run(&[("JWT_SECRET", "")]).complaint(1);
    fs::write(folder.path().join(".env"), "JWT_SECRET=do not show me\n").unwrap();
    let complaint = run(&[]).complaint(1);
    assert!(!complaint.contains("show"), "{complaint}");
    // What is wrong in it is found by its line.
    fs::write(folder.path().join(".env"), "# mine\n\nCHAT_URL=127.0.0.1\n").unwrap();
    let mut command = bare(folder.path(), &["users"]);
    command.env("JWT_SECRET", server.secret());
    let complaint = ended(command).complaint(2);
    assert!(
        complaint.contains("CHAT_URL") && complaint.contains(".env, line 3"),
        "{complaint}"
    );
}
