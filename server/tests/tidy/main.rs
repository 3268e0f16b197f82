//! What no compiler sees: files that open with what they are for, and documents that name everything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use shared::{ErrorCode, UserId, events};

mod imports;
mod source;

/// Longer files are two files.
const MOST_LINES: usize = 400;

/// Every file that belongs to the project, from its root.
fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(testkit::workspace())
        .output()
        .expect("git can be started");
    assert!(output.status.success(), "not a working tree of git");
    let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
    names
        .lines()
        .map(PathBuf::from)
        .filter(|file| testkit::workspace().join(file).exists())
        .collect()
}

fn read(file: &Path) -> String {
    let bytes = fs::read(testkit::workspace().join(file)).expect("the file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn every_rust_file_opens_with_what_it_is_for_and_is_short() {
    let mut wrong = Vec::new();
    for file in files()
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
    {
        let text = read(file);
        if !text.starts_with("//! ") {
            wrong.push(format!("{}: does not open with `//! `", file.display()));
        }
        let lines = text.lines().count();
        if lines > MOST_LINES {
            wrong.push(format!("{}: {lines} lines", file.display()));
        }
        if file
            .file_name()
            .is_some_and(|name| name == "utils.rs" || name == "helpers.rs")
        {
            wrong.push(format!("{}: a name that says nothing", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_script_opens_with_what_it_is_for() {
    for file in files().iter().filter(|file| {
        file.extension()
            .is_some_and(|extension| ["js", "mjs", "py"].iter().any(|known| extension == *known))
    }) {
        let opens = ["// ", "\"\"\""].iter().any(|opening| read(file).starts_with(opening));
        assert!(opens, "{}", file.display());
    }
}

#[test]
fn the_protocol_names_every_event_and_every_code() {
    let protocol = read(Path::new("shared/PROTOCOL.md"));
    let receive = events::receive_message(UserId::from_bytes([0; 12]));
    let receive = receive.trim_end_matches('0');
    let names = [
        events::MESSAGE_SENT,
        events::MESSAGES_DELIVERED,
        events::MESSAGES_READ,
        events::CONVERSATION_UPDATED,
        events::PRESENCE,
        events::SETTINGS_UPDATED,
        events::SYNC_DONE,
        events::SYNC_RESET,
        events::REQUEST_FAILED,
        events::AUTHENTICATION_ERROR,
        receive,
    ];
    let requests = server::routes::EVENTS.iter().map(|(name, _)| *name);
    let codes = ErrorCode::ALL.iter().map(|code| code.as_str());
    let missing: Vec<&str> = names
        .into_iter()
        .chain(requests)
        .chain(codes)
        .filter(|name| !protocol.contains(name))
        .collect();
    assert!(missing.is_empty(), "shared/PROTOCOL.md does not name {missing:?}");
}

#[test]
fn the_protocols_version_is_the_same_everywhere() {
    let version = shared::PROTOCOL_VERSION;
    let protocol = read(Path::new("shared/PROTOCOL.md"));
    assert!(protocol.contains(&format!("This is version {version} of the protocol.")));
    assert!(protocol.contains(&format!("\"protocol\":{version}")));
    let changelog = read(Path::new("server/CHANGELOG.md"));
    let newest = changelog.lines().find(|line| line.starts_with("## ["));
    assert!(
        newest.is_some_and(|line| line.ends_with(&format!("protocol {version}"))),
        "{newest:?}"
    );
}

#[test]
fn lock_files_name_no_registry() {
    let lock = read(Path::new("server/tests/js/package-lock.json"));
    assert!(
        !lock.contains("\"resolved\""),
        "install with the .npmrc beside the lock file"
    );
    let packages = lock.matches("\"node_modules/").count();
    assert_eq!(
        lock.matches("\"integrity\": \"sha512-").count(),
        packages,
        "each package is pinned by its hash"
    );
}
