//! A server below a path of its own (`BASE_PATH`), and one whose Socket.IO is elsewhere (`SOCKET_PATH`): every command finds
//! both.

use std::process::Command;

use testkit::{Engine, Setup};

use crate::program::{Script, command, ended};

#[test]
fn every_command_finds_the_paths_of_the_server() {
    for (settings, base) in [
        (&[("BASE_PATH", "/api")][..], "/api"),
        (&[("SOCKET_PATH", "/live")], ""),
        (&[("BASE_PATH", "/api"), ("SOCKET_PATH", "/api/live")], "/api"),
        (&[("BASE_PATH", "/api"), ("SOCKET_PATH", "/live")], "/api"),
    ] {
        let setup = Setup::new(Engine::Embedded);
        let server = settings
            .iter()
            .fold(setup, |setup, (name, value)| setup.env(name, value))
            .start();
        let chatctl = |arguments: &[&str]| -> Command {
            let mut command = command(&server, arguments);
            command.env("CHAT_URL", format!("{}{base}", server.url()));
            command
        };
        ended(chatctl(&["seed", "users"])).output();
        let mut watch = Script::of(&mut chatctl(&["watch", "--as", "userB", "--json"]));
        assert_eq!(watch.any_event()["event"], "connected", "{settings:?}");
        let mut chat = Script::of(&mut chatctl(&["chat", "--as", "userA", "--with", "userB"]));
        assert_eq!(chat.event()["event"], "connected", "{settings:?}");
        chat.line("hello");
        assert_eq!(chat.event()["event"], "ack", "{settings:?}");
        drop((chat, watch));
        for arguments in [
            &["bench", "messages", "--users", "2", "--messages", "3"][..],
            &["bench", "connect", "--users", "2"],
            &[
                "bench",
                "history",
                "--conversations",
                "1",
                "--duration",
                "100ms",
                "--warmup",
                "0s",
            ],
            &["bench", "history", "--full", "--conversations", "1", "--repeat", "1"],
            &[
                "prove",
                "--users",
                "2",
                "--duration",
                "500ms",
                "--report",
                "report.html",
            ],
        ] {
            let ended = ended(chatctl(arguments));
            assert_eq!(ended.code, 0, "{settings:?} {arguments:?}: {ended:?}");
        }
    }
}
