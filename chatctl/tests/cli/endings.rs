//! Every way in which a connection can end, heard by whoever does nothing at that moment: people in a chat, a script in
//! one, and a watcher. None of them sends anything that would fail.

use testkit::proxy::{Direction, Link, Proxy};
use testkit::{Engine, Server, Setup};

use crate::program::{Script, command};
use crate::screen::Screen;
use crate::users;

/// Ends the open connections, and makes new ones possible again once that was noticed.
struct Ending {
    /// What is done.
    how: &'static str,
    /// A part of the words with which it is told.
    words: &'static str,
    end: fn(&mut Server, &Proxy),
    mend: fn(&mut Server, &Proxy),
}

const ENDINGS: [Ending; 4] = [
    Ending {
        how: "a close frame: the server stops in order",
        words: "as it does when it is stopped",
        end: |server, _| assert!(server.terminate().0.success()),
        mend: |server, _| server.restart(),
    },
    Ending {
        how: "a FIN without a word: the server is killed",
        words: "was killed, or the network",
        end: |server, _| server.kill(),
        mend: |server, _| server.restart(),
    },
    Ending {
        how: "a RST",
        words: "was killed, or the network",
        end: |_, proxy| proxy.set(Link::Reset),
        mend: |_, proxy| proxy.heal(),
    },
    Ending {
        how: "silence: the network swallows everything",
        words: "the server does not answer",
        end: |_, proxy| proxy.set(Link::Swallow(Direction::Both)),
        mend: |_, proxy| proxy.heal(),
    },
];

#[test]
fn every_end_of_a_connection_is_noticed() {
    let mut server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _)] = users(&server);
    let proxy = Proxy::to(server.port());
    let url = proxy.url();
    let run = |arguments: &[&str]| {
        let mut command = command(&server, arguments);
        command.env("CHAT_URL", &url);
        Script::of(&mut command)
    };
    let chat = ["chat", "--as", &ada, "--with", &bob];
    let mut scripts = [run(&[&chat[..], &["--stay"]].concat()), run(&["watch", "--as", &bob])];
    let screen = Screen::sized(&server, &chat, 160, &[("CHAT_URL", &url)]);
    screen.wait_for("connected as");
    for script in &mut scripts {
        script.event_named("sync_done");
    }
    for (count, ending) in ENDINGS.iter().enumerate() {
        (ending.end)(&mut server, &proxy);
        for script in &mut scripts {
            let told = script.event_named("disconnected");
            assert!(told.to_string().contains(ending.words), "{}: {told}", ending.how);
        }
        let row = screen.wait(ending.how, |rows| {
            let mut lost = rows.iter().filter(|row| row.contains("connection lost"));
            lost.nth(count).cloned()
        });
        assert!(row.contains(ending.words), "{}: {row}", ending.how);
        screen.wait("the line above the typed one", |rows| {
            let status = rows.len().checked_sub(2)?;
            rows[status].contains("reconnecting…").then_some(())
        });
        (ending.mend)(&mut server, &proxy);
        for script in &mut scripts {
            script.event_named("sync_done");
        }
        screen.wait("connected again", |rows| {
            let again = rows.iter().filter(|row| row.contains("connected again"));
            (again.count() == count + 1).then_some(())
        });
    }
}

#[test]
fn a_quiet_connection_is_kept() {
    let server = Server::start(Engine::Embedded);
    let [(ada, _), (bob, _)] = users(&server);
    let mut watch = Script::run(&server, &["watch", "--as", &ada]);
    watch.event_named("sync_done");
    // Nothing else happens until its questions were answered for longer than silence would be borne.
    let mut quiet = Script::connected(&server, &ada, &bob, &["--wait", "6"]);
    quiet.close();
    let (code, events, stderr) = quiet.end();
    assert_eq!((code, events.len(), stderr.as_str()), (0, 0, ""), "{events:?}");
    let mut bob = Script::connected(&server, &bob, &ada, &[]);
    bob.line("still there?");
    let next = watch.any_event();
    assert!(
        next["event"].as_str().unwrap().starts_with("receive_message_"),
        "{next}"
    );
}

#[test]
fn who_can_not_connect_for_a_benchmark_is_told_why() {
    let server = Setup::new(Engine::Embedded).env("MAX_CONNECTIONS", 8).start();
    let mut screen = Screen::start(&server, &["bench", "connect", "--users", "50"]);
    screen.wait_for(" of 50 connected (");
    screen.keys("\x03");
    assert_eq!(screen.end(), 1);
}
