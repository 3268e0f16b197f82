//! The examples of README and PROTOCOL in JavaScript, Python and JSON, run as they stand: only the server's address is put
//! in, and before an example what its text says is the reader's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use jsonwebtoken::Algorithm::HS256;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::process::Process;
use testkit::token::{seconds, sign};
use testkit::{Engine, Server, Setup};

use crate::program::TIMEOUT;

/// More than is pushed to a client that comes back.
const MISSED: usize = shared::limits::MAX_SYNC_PUSH + 300;

/// The blocks of a document that are marked as this language.
pub(crate) fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(testkit::workspace().join(document)).expect("the document can be read");
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    let blocks = blocks.map(|rest| rest.split_once("```").expect("the block ends").0.to_owned());
    blocks.collect()
}

/// A folder in which examples run, with what the server's folder has for them.
pub(crate) struct Folder<'a> {
    server: &'a Server,
    folder: TempDir,
}

impl<'a> Folder<'a> {
    pub(crate) fn of(server: &'a Server) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("data")).expect("the folder is writable");
        fs::write(folder.path().join("data/jwt_secret"), format!("{}\n", server.secret()))
            .expect("the folder is writable");
        symlink(testkit::node::modules(), folder.path().join("node_modules")).expect("the folder is writable");
        Self { server, folder }
    }

    /// Runs a text; the lines of its output.
    #[track_caller]
    pub(crate) fn run(&self, program: &str, name: &str, text: &str) -> Vec<String> {
        let text = text.replace("http://127.0.0.1:5000", &self.server.url());
        fs::write(self.folder.path().join(name), &text).expect("the folder is writable");
        let mut process = Process::spawn(
            Command::new(program)
                .arg(name)
                .current_dir(self.path())
                .env("PYTHONPATH", testkit::python::packages())
                .env_remove("JWT_SECRET"),
        );
        let status = process.wait(TIMEOUT);
        let wrote = (process.stdout(), process.stderr());
        assert!(status.is_some_and(|status| status.success()), "{wrote:?}\n{text}");
        wrote.0.lines().map(str::to_owned).collect()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// What the reader of an example has already.
fn given(names: Value) -> String {
    let names = names.as_object().expect("an object").iter();
    names.map(|(name, value)| format!("let {name} = {value};\n")).collect()
}

/// The block that holds a text.
#[track_caller]
fn block(document: &str, language: &str, with: &str) -> String {
    let mut found = blocks(document, language)
        .into_iter()
        .filter(|block| block.contains(with));
    let first = found
        .next()
        .unwrap_or_else(|| panic!("{document} has no {language} with {with}"));
    assert!(found.next().is_none(), "{document} has several {language} with {with}");
    first
}

#[test]
fn every_example_is_known_here() {
    let count = |document, language| blocks(document, language).len();
    assert_eq!((count("README.md", "js"), count("README.md", "python")), (2, 2));
    assert_eq!(count("shared/PROTOCOL.md", "js"), 3);
    for text in blocks("shared/PROTOCOL.md", "json") {
        // An ellipsis stands for what was left out: the shape is shown, no document.
        let whole = !text.contains('…');
        assert!(!whole || serde_json::from_str::<Value>(&text).is_ok(), "{text}");
    }
}

#[test]
fn backends_mint_tokens() {
    let server = Server::start(Engine::Embedded);
    let folder = Folder::of(&server);
    let javascript = block("README.md", "js", "createHmac");
    let python = block("README.md", "python", "hmac");
    for (program, name, text, user) in [
        ("node", "mint.mjs", &javascript, "ada"),
        ("python3", "mint.py", &python, "grace"),
    ] {
        // It can be repeated: the user is found then.
        for _ in 0..2 {
            let output = folder.run(program, name, text);
            let me = server.get("/users/me", output.last().expect("a token"));
            assert_eq!((me.status, &me.json()["username"]), (200, &json!(user)), "{output:?}");
        }
    }
}

#[test]
fn an_app_sends_and_hears() {
    let server = Server::start(Engine::Embedded);
    let [me] = server.new_users();
    let folder = Folder::of(&server);
    let names = json!({"token": server.token(&me), "receiverId": me});
    let show = "const show = (message) => console.log(JSON.stringify(message));\n";
    let example = block("README.md", "js", "send_message");
    let text = format!("{}{show}{example}\nsocket.close();\n", given(names));
    let shown = folder.run("node", "app.mjs", &text);
    // A message to oneself is heard, and shown with its answer.
    let shown: Vec<Value> = shown.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        !shown.is_empty() && shown.iter().all(|message| message["message"] == "Hello"),
        "{shown:?}"
    );
    assert_eq!(server.history(&me, &me).len(), 1);

    let example = block("README.md", "python", "socketio");
    let names = format!("token = {:?}\nreceiver_id = {me:?}\n", server.token(&me));
    // In one piece: python-socketio has a thread for each event, and both can show a message at once.
    let show = "import json, sys\ndef show(message): sys.stdout.write(json.dumps(message) + chr(10))\n";
    let text = format!("{names}{show}{example}\nclient.disconnect()\n");
    let shown = folder.run("python3", "app.py", &text);
    let shown: Vec<Value> = shown.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        !shown.is_empty() && shown.iter().all(|message| message["message"] == "Hello"),
        "{shown:?}"
    );
    assert_eq!(server.history(&me, &me).len(), 2);

    let connect = block("shared/PROTOCOL.md", "js", "{ auth: { token } }");
    let import = "import { io } from \"socket.io-client\";\n";
    let then = "socket.on(\"connect\", () => socket.close());\n";
    let names = given(json!({"token": server.token(&me)}));
    folder.run("node", "connect.mjs", &format!("{import}{names}{connect}{then}"));
}

#[test]
fn a_client_goes_on_after_its_token() {
    let server = Setup::new(Engine::Embedded).env("TOKEN_EXPIRY", "live").start();
    let [me] = server.new_users();
    let exp = seconds() + 4;
    let short = sign(HS256, server.secret(), &json!({"userId": me, "exp": exp}));
    let names = json!({"url": server.url(), "tokens": [short, server.token(&me)], "exp": exp, "left": 0});
    let before = "import { io } from \"socket.io-client\";\nconst getToken = async () => tokens.shift();\n";
    let example = block("shared/PROTOCOL.md", "js", "refresh_token");
    // What is answered after the end of the first token shows that the connection went on.
    let then = "socket.on(\"disconnect\", () => { left += 1; });\n\
         await new Promise((resolve) => socket.once(\"connect\", resolve));\n\
         await new Promise((resolve) => setTimeout(resolve, exp * 1000 + 2000 - Date.now()));\n\
         const { ok } = await socket.emitWithAck(\"sync\", {});\n\
         console.log(JSON.stringify([ok, left, tokens.length]));\nsocket.close();\n";
    let output = Folder::of(&server).run(
        "node",
        "goes_on.mjs",
        &format!("{}{before}{example}{then}", given(names)),
    );
    assert_eq!(output, ["[true,0,0]"]);
}

#[test]
fn a_client_misses_nothing() {
    let server = Server::start(Engine::Embedded);
    let [me, peer] = server.new_users();
    let token = server.token(&me);
    let cursor = server.get("/chat/sync", &token).json()["next"].clone();
    let send = |from: &str, to: &str, count: usize| {
        let argument = json!({"url": server.url(), "token": server.token(from), "receiver": to, "count": count});
        testkit::node::run("send.js", &argument);
    };
    send(&peer, &me, MISSED);
    send(&me, &peer, 5);
    let names = json!({"token": token, "myId": me, "cursor": cursor, "url": server.url()});
    let import = "import { io } from \"socket.io-client\";\nconst messages = new Map();\n";
    let example = block("shared/PROTOCOL.md", "js", "sync_done");
    let read = "const theirs = [...messages.values()].filter(({ sender }) => sender !== myId);\n\
         console.log(JSON.stringify(await read(theirs.at(-1))));\n";
    let until = format!(
        "while (messages.size < {}) await new Promise((resolve) => setTimeout(resolve, 20));\n",
        MISSED + 5
    );
    let text = format!(
        "{import}{}{example}{until}{read}console.log(JSON.stringify(cursor));\nsocket.close();\n",
        given(names)
    );
    let output = Folder::of(&server).run("node", "client.mjs", &text);
    assert!(output.last().is_some_and(|line| line.len() > 4), "{output:?}");
    let inbox = server.get("/chat/conversations", &token).json();
    assert_eq!(inbox["totalUnread"], 0, "{output:?}");
}
