//! The clients of `shared/examples`: each chats with the one in JavaScript, is killed, and misses nothing.

use std::path::Path;

use testkit::example::{Client, Language, TIMEOUT};
use testkit::{Engine, Server};

#[test]
fn javascript() {
    chats(Language::JavaScript);
}

#[test]
fn python() {
    chats(Language::Python);
}

#[test]
fn rust() {
    chats(Language::Rust);
}

fn chats(language: Language) {
    let mut server = Server::start(Engine::Embedded);
    let [ada, grace] = server.new_users();
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let start = |server: &Server, language, me: &str, peer: &str, folder: &Path| {
        Client::start(language, folder, server, &server.token(me), Some(peer))
    };
    let mut peer = start(&server, Language::JavaScript, &ada, &grace, folders[0].path());
    let mut client = start(&server, language, &grace, &ada, folders[1].path());

    // Both ways, with receipts.
    client.types("Hello");
    // python-socketio has a thread for each event, so these two can change places.
    client.prints_all(&["me: Hello", &format!("messages_read by {ada} up to: Hello")]);
    peer.prints(&format!("{grace}: Hello"));
    peer.types("Good morning");
    client.prints(&format!("{ada}: Good morning"));
    peer.prints(&format!("messages_read by {grace} up to: Good morning"));

    // Killed, it misses what comes then, and shows nothing that it has shown before.
    client.process().kill();
    peer.types("Are you there?");
    peer.prints("me: Are you there?");
    peer.types("Call me");
    peer.prints("me: Call me");
    let mut client = start(&server, language, &grace, &ada, folders[1].path());
    let first = client.prints(&format!("{ada}: Are you there?"));
    assert!(first.is_empty(), "{first:?}");
    let between = client.prints(&format!("{ada}: Call me"));
    assert!(between.is_empty(), "{between:?}");

    // What is typed while the server is away is sent once it is back, in the order of typing, and once.
    server.kill();
    client.types("One moment");
    client.types("Here I am");
    server.restart();
    client.prints("me: One moment");
    client.prints("me: Here I am");
    peer.prints(&format!("{grace}: Here I am"));

    // A server that is asked to stop ends the connections itself, which is not the same to every library.
    server.terminate();
    client.types("Back again");
    server.restart();
    client.prints("me: Back again");
    peer.prints(&format!("{grace}: Back again"));
    let texts = server.history(&ada, &grace);
    let texts: Vec<&str> = texts.iter().filter_map(|message| message["message"].as_str()).collect();
    let said = [
        "Hello",
        "Good morning",
        "Are you there?",
        "Call me",
        "One moment",
        "Here I am",
        "Back again",
    ];
    assert_eq!(texts, said);

    // It says why it is refused.
    let empty = tempfile::tempdir().expect("a temporary folder");
    let token = server.token(&grace);
    let token = format!("{}AAAA", &token[..token.len() - 4]);
    let mut refused = Client::start(language, empty.path(), &server, &token, None);
    let status = refused.process().wait(TIMEOUT).expect("it ends");
    assert_eq!(status.code(), Some(1));
    let complaint = refused.process().stderr();
    assert!(complaint.contains("Authentication error"), "{complaint}");
    assert!(complaint.contains("token_invalid"), "{complaint}");
}
