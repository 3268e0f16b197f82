//! The package of `shared/js`: what it is made from, how large it is, and what other tools say of it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use testkit::node::{Script, program};
use testkit::npm_package;

/// What the client may weigh in an app, in bytes: minified and compressed, without the stock client.
const MOST_BYTES: usize = 8_000;

#[track_caller]
fn assert_good(output: &Output) -> String {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn its_types_are_those_of_the_contract() {
    let script = npm_package::sources().join("scripts/protocol.mjs");
    let run = |contract: Option<&Path>| {
        let mut command = Command::new(program("NODE", "node"));
        command.arg(&script).arg("--check").args(contract);
        command.output().expect("Node.js can be started")
    };
    assert_good(&run(None));
    // And it would be seen if they were not.
    let contract = testkit::workspace().join("shared/contract/asyncapi.json");
    let changed = fs::read_to_string(contract)
        .expect("it can be read")
        .replace("\"isTyping\"", "\"types\"");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("asyncapi.json");
    fs::write(&file, changed).expect("it can be written");
    let stale = run(Some(&file));
    assert!(!stale.status.success(), "{}", String::from_utf8_lossy(&stale.stdout));
}

#[test]
fn nothing_but_the_file_needs_node() {
    for entry in fs::read_dir(npm_package::sources().join("src")).expect("it is a folder") {
        let file = entry.expect("it can be listed").path();
        let text = fs::read_to_string(&file).expect("it can be read");
        let of_node = text.contains("node:") || text.contains("Buffer");
        assert_eq!(of_node, file.ends_with("file.ts"), "{}", file.display());
    }
}

#[test]
fn its_stores_keep_what_they_are_given() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let script = testkit::workspace().join("server/tests/js/chat_stores.js");
    let argument = json!({"path": folder.path().join("copy")}).to_string();
    let reports = Script::start_with(&script, &[&argument], &[], &npm_package::modules()).finish();
    let failed: Vec<&Value> = reports.iter().filter(|report| report["error"].is_string()).collect();
    assert!(failed.is_empty() && reports.len() == 5, "{reports:#?}");
}

#[test]
fn it_is_small() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let bundle = folder.path().join("bundle.js");
    assert_good(&npm_package::tool(
        npm_package::built(),
        "esbuild/bin/esbuild",
        &[
            "dist/esm/index.js",
            "--bundle",
            "--minify",
            "--format=esm",
            "--external:socket.io-client",
            &format!("--outfile={}", bundle.display()),
        ],
    ));
    let count = "console.log(zlib.gzipSync(fs.readFileSync(process.argv[1]), { level: 9 }).length)";
    let output = Command::new(program("NODE", "node"))
        .args(["-e", count])
        .arg(&bundle)
        .output();
    let said = assert_good(&output.expect("Node.js can be started"));
    let bytes: usize = said.trim().parse().expect("a number of bytes");
    assert!((1_000..MOST_BYTES).contains(&bytes), "{bytes} bytes");
}

#[test]
fn publint_and_are_the_types_wrong_find_nothing() {
    let built = npm_package::built();
    let said = assert_good(&npm_package::tool(built, "publint/src/cli.js", &["--strict"]));
    assert!(said.contains("All good!"), "{said}");
    let packed = npm_package::packed();
    let arguments = [packed.to_str().expect("its path is UTF-8"), "--no-emoji"];
    let said = assert_good(&npm_package::tool(
        built,
        "@arethetypeswrong/cli/dist/index.js",
        &arguments,
    ));
    assert!(said.contains("No problems found"), "{said}");
}
