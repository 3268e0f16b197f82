//! The client in a real browser, with its copy in the browser's IndexedDB.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use testkit::proxy::Proxy;
use testkit::{Engine, Setup, chromium, npm_package};

use super::device::{Device, TIMEOUT, history_of, texts};

#[test]
fn a_tab_keeps_an_exact_copy_in_indexeddb() {
    let mut server = Setup::new(Engine::Embedded).env("RATE_LIMITS", "off").start();
    let [me, ada] = server.new_users();
    let network = Proxy::to(server.port());
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let bundle = folder.path().join("bundle.js");
    bundle_into(&folder);
    let mut tab = Device::with(json!({
        "browser": chromium::chromium(), "bundle": bundle, "url": network.url(), "tokens": [server.token(&me)]
    }))
    .connected();
    let mut other = Device::new(&server.url(), &[server.token(&ada)], "memory").connected();
    other.write(&me, &texts("to the tab", 250));
    tab.write(&ada, &texts("from the tab", 30));
    tab.until("unread", Value::Null, |unread| {
        unread.as_u64().is_some_and(|unread| unread > 0)
    });
    network.cut();
    tab.ask("kill the tab", Value::Null);
    server.restart();
    tab.write(&ada, &texts("after it", 30));
    tab.ask("kill the tab", Value::Null);
    testkit::process::eventually("all that was written is stored", TIMEOUT, || {
        (history_of(&server, &me, &ada).len() >= 60 && history_of(&server, &ada, &me).len() >= 250).then_some(())
    });
    let written = [texts("from the tab", 30), texts("after it", 30)].concat();
    assert_eq!(
        history_of(&server, &me, &ada),
        written,
        "each once, in the order of writing"
    );
    tab.complete();
    tab.becomes(&server, &me, &[&ada], 310);
    // Without a connection the tab still has it all.
    server.kill();
    tab.ask("kill the tab", Value::Null);
    let kept = tab.ask("copy", Value::Null);
    assert_eq!(kept.as_array().map(Vec::len), Some(310));
}

/// One file of the installed package and the stock client, as an app's bundler makes it.
fn bundle_into(folder: &tempfile::TempDir) {
    let entry = folder.path().join("entry.js");
    std::fs::write(&entry, "export * from \"chat-client\";").expect("it can be written");
    let modules = npm_package::project().join("node_modules");
    symlink(modules, folder.path().join("node_modules")).expect("it can be made");
    let arguments = [
        "entry.js",
        "--bundle",
        "--format=iife",
        "--global-name=chatClient",
        "--outfile=bundle.js",
    ];
    let output = npm_package::tool(folder.path(), "esbuild/bin/esbuild", &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
