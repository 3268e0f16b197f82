//! The examples of `shared/js/README.md`, as they stand: `tsc --strict` compiles them in a project that was empty, and they run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use serde_json::{Value, json};
use testkit::node::{Script, program};
use testkit::process::Process;
use testkit::{Engine, Server, npm_package};

use super::device::{Device, TIMEOUT, history_of, texts};

fn readme() -> String {
    fs::read_to_string(npm_package::sources().join("README.md")).expect("it can be read")
}

/// The programs of the document, in their order.
fn examples() -> Vec<String> {
    let text = readme();
    let blocks = text.split("```ts\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().expect("a block ends").to_owned());
    blocks.collect()
}

/// Compiles programs in a folder, of ES modules or not, into which nothing but the package is installed.
fn compile(folder: &Path, kind: &str, programs: &[(&str, &str)]) {
    let output = tsc(folder, kind, programs);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The same, and what the compiler says.
fn tsc(folder: &Path, kind: &str, programs: &[(&str, &str)]) -> Output {
    fs::write(folder.join("package.json"), json!({"type": kind}).to_string()).expect("it can be written");
    symlink(npm_package::project().join("node_modules"), folder.join("node_modules")).expect("it can be made");
    for (name, program) in programs {
        fs::write(folder.join(name), program).expect("it can be written");
    }
    // The command of the document, with the types of Node.js from the tools and not from the network.
    let document = readme();
    let command = document.lines().find_map(|line| line.strip_prefix("npx tsc chat.ts "));
    let types = npm_package::tools().join("node_modules/@types");
    let mut arguments: Vec<&str> = programs.iter().map(|(name, _)| *name).collect();
    arguments.extend(command.expect("it compiles the program").split_whitespace());
    arguments.extend(["--typeRoots", types.to_str().expect("its path is UTF-8")]);
    npm_package::tool(folder, "typescript/bin/tsc", &arguments)
}

#[test]
fn a_newcomer_has_a_program_that_loses_nothing() {
    let [chat, page, stock] = examples().try_into().expect("three programs");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let programs = [("chat.ts", &*chat), ("page.ts", &*page), ("stock.ts", &*stock)];
    compile(folder.path(), "module", &programs);
    let mut server = Server::start(Engine::Embedded);
    let [me, ada] = server.new_users();
    let mut node = Command::new(program("NODE", "node"));
    node.args(["chat.js", &server.url(), &ada])
        .current_dir(&folder)
        .env("TOKEN", server.token(&me))
        .env_remove("NODE_OPTIONS");
    let mut process = Process::spawn(&mut node);
    let mut other = Device::new(&server.url(), &[server.token(&ada)], "memory").connected();
    prints(&process, "online");
    prints(&process, "me, delivered: Hello");
    other.until("unread", Value::Null, |unread| *unread == 1);
    other.ask("read", me.as_str());
    prints(&process, "me, read: Hello");
    other.write(&me, &texts("answer", 1));
    prints(&process, "they: answer 0");

    // As the document says: write while the server is away.
    server.kill();
    process.write_line("into the dark");
    prints(&process, "me, queued: into the dark");
    server.restart();
    prints(&process, "me, delivered: into the dark");
    assert_eq!(history_of(&server, &me, &ada), ["Hello", "into the dark"]);

    let mut node = Command::new(program("NODE", "node"));
    node.args(["stock.js", &server.url(), &ada])
        .current_dir(&folder)
        .env("TOKEN", server.token(&me))
        .env_remove("NODE_OPTIONS");
    let output = node.output().expect("Node.js can be started");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.ends_with(" false\n"),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(history_of(&server, &me, &ada).len(), 3);
}

/// A name, a payload or an answer that the contract does not have is an error of the compiler.
#[test]
fn the_types_find_mistakes() {
    let [_, _, stock] = examples().try_into().expect("three programs");
    for (right, wrong) in [
        ("\"send_message\", {", "\"sent_message\", {"),
        ("message: \"Hello\"", "text: \"Hello\""),
        ("answer.message.createdAt", "answer.message.sentAt"),
        ("({ peerId, unread })", "({ peerId, unraed: unread })"),
    ] {
        assert!(stock.contains(right), "{right}");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let output = tsc(folder.path(), "module", &[("stock.ts", &stock.replace(right, wrong))]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success() && said.contains("stock.ts"), "{wrong}: {said}");
    }
}

#[test]
fn a_page_shows_a_conversation() {
    let [_, page, _] = examples().try_into().expect("three programs");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    // Both kinds of modules have their types.
    compile(folder.path(), "commonjs", &[("page.ts", &page)]);
    let server = Server::start(Engine::Embedded);
    let [me, ada] = server.new_users();
    let mut other = Device::new(&server.url(), &[server.token(&ada)], "memory").connected();
    other.write(&me, &texts("hello", 1));
    let argument = json!({
        "page": folder.path().join("page.js"), "url": server.url(), "token": server.token(&me), "user": me, "peer": ada
    });
    let script = testkit::workspace().join("server/tests/js/chat_page.js");
    let shown = Script::start_with(&script, &[&argument.to_string()], &[], &npm_package::modules()).finish();
    assert_eq!(
        shown,
        [json!([
            ["they", "hello 0", "sent"],
            ["me", "and hello to you", "delivered"]
        ])]
    );
    // The page has the focus: what it showed was read.
    other.until("messages", me.as_str(), |shown| shown[0]["state"] == "read");
}

/// Waits until it prints this line.
#[track_caller]
fn prints(process: &Process, line: &str) {
    let deadline = Instant::now() + TIMEOUT;
    let mut position = 0;
    while let Some(next) = process.next_line(&mut position, deadline) {
        if next.trim_end() == line {
            return;
        }
    }
    panic!("it never printed {line:?}: {}{}", process.stdout(), process.stderr());
}
