//! `chatctl inbox` and `chatctl rebuild`.

use serde_json::{Value, json};
use testkit::{Engine, Server};

use crate::program::{Script, chatctl};
use crate::screen::Screen;
use crate::{server, users};

fn say(server: &Server, me: &str, peer: &str, texts: &[&str]) {
    let mut script = Script::connected(server, me, peer, &[]);
    texts.iter().for_each(|text| script.line(text));
    script.close();
    let (code, events, stderr) = script.end();
    assert_eq!((code, events.len()), (0, texts.len()), "{stderr}");
}

#[test]
fn it_lists_the_newest_first_with_what_is_unread() {
    let [(ada, _), (bob, bob_id), (cyd, cyd_id)] = users(server());
    let none = chatctl(server(), &["inbox", "--as", &ada]);
    assert!(none.stderr.contains("no conversations yet"), "{none:?}");
    assert_eq!(chatctl(server(), &["inbox", "--as", &ada, "--json"]).json(), json!([]));

    say(server(), &ada, &cyd, &["first"]);
    say(server(), &bob, &ada, &["second", "third\x1b[31m"]);
    let inbox = chatctl(server(), &["inbox", "--as", &ada]).output();
    let lines: Vec<&str> = inbox.lines().collect();
    assert_eq!(lines.len(), 3, "{inbox}");
    let words: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!((words[1], words[2]), (bob.as_str(), "2"), "{inbox}");
    assert!(lines[0].ends_with("third␛[31m"), "{inbox}");
    assert!(lines[1].contains(&cyd) && lines[1].ends_with("✓ first"), "{inbox}");
    assert_eq!(lines[2], "2 unread");

    let newest = chatctl(server(), &["inbox", "--as", &ada, "--limit", "1"]).output();
    assert_eq!(newest.lines().collect::<Vec<_>>(), [lines[0], lines[2]]);
    let json = chatctl(server(), &["inbox", "--as", &ada, "--json"]).json();
    let peers: Vec<&Value> = json.as_array().unwrap().iter().map(|c| &c["peerId"]).collect();
    assert_eq!(peers, [&json!(bob_id), &json!(cyd_id)]);

    // Once they are seen they are read, and whoever wrote them learns it.
    let _at_ada = Screen::chat(server(), &ada, &bob);
    let at_bob = Screen::chat(server(), &bob, &ada);
    at_bob.wait_for("✓✓ read");
    let inbox = chatctl(server(), &["inbox", "--as", &ada]).output();
    assert!(inbox.ends_with("\n0 unread\n"), "{inbox}");
    let inbox = chatctl(server(), &["inbox", "--as", &bob]).output();
    assert!(inbox.contains(&format!("● {ada}")), "{inbox}");
    assert!(inbox.contains("✓✓ read third"), "{inbox}");
}

#[test]
fn a_missing_user_is_asked_for() {
    let [(ada, _), (bob, _)] = users(server());
    say(server(), &bob, &ada, &["hello"]);
    let mut screen = Screen::start(server(), &["inbox"]);
    screen.wait_for("Whose conversations?");
    screen.keys(&ada);
    screen.wait_for(&ada);
    screen.keys("\r");
    screen.wait_for("1 unread");
    assert_eq!(screen.end(), 0);
}

#[test]
fn inboxes_are_rebuilt() {
    for engine in [Engine::Embedded, Engine::Mongo] {
        let server = Server::start(engine);
        let [(ada, _), (bob, _)] = users(&server);
        say(&server, &bob, &ada, &["one", "two"]);
        let before = chatctl(&server, &["inbox", "--as", &ada, "--json"]).json();
        let output = chatctl(&server, &["rebuild"]).output();
        assert!(
            output
                .lines()
                .last()
                .unwrap()
                .starts_with("rebuilt the inboxes from 2 messages"),
            "{output}"
        );
        let output = chatctl(&server, &["rebuild", "--json"]).output();
        let last: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
        assert_eq!((&last["ready"], &last["building"]), (&json!(true), &json!(false)));
        assert_eq!((&last["done"], &last["total"]), (&json!(2), &json!(2)));
        assert_eq!(chatctl(&server, &["inbox", "--as", &ada, "--json"]).json(), before);

        let mut screen = Screen::start(&server, &["rebuild"]);
        screen.wait_for("rebuilt the inboxes");
        assert_eq!(screen.end(), 0);
    }
}
