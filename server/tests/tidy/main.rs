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
        // Files of packages stay as they are.
        if file.components().any(|part| part.as_os_str() == "vendor") {
            continue;
        }
        let opens = ["// ", "\"\"\""].iter().any(|opening| read(file).starts_with(opening));
        assert!(opens, "{}", file.display());
    }
}

#[test]
fn no_merge_is_left_half_done() {
    let marks = ["<<<<<<< ", ">>>>>>> "];
    for file in files() {
        let is_mark = |line: &str| marks.iter().any(|mark| line.starts_with(mark));
        assert!(!read(&file).lines().any(is_mark), "{}", file.display());
    }
}

#[test]
fn the_protocol_names_every_event_and_every_code() {
    let protocol = read(Path::new("shared/PROTOCOL.md"));
    let words = read(Path::new("shared/src/events.rs"));
    // Read from the text, so that a new event can't be left out here.
    let events: Vec<&str> = words.lines().filter_map(text_constant).collect();
    for (event, ..) in server::routes::EVENTS {
        assert!(events.contains(event), "{event} is no constant of shared/src/events.rs");
    }
    let codes = ErrorCode::ALL.iter().map(|code| code.as_str());
    let mut missing: Vec<&str> = events.iter().copied().chain(codes).collect();
    missing.retain(|name| !protocol.contains(&format!("`{name}`")));
    assert!(missing.is_empty(), "shared/PROTOCOL.md does not name {missing:?}");

    let receive = events::receive_message(UserId::from_bytes([0; 12]));
    assert!(protocol.contains(&format!("`{}<userId>`", receive.trim_end_matches('0'))));
}

/// The value, if this line is `pub const NAME: &str = "value";`.
fn text_constant(line: &str) -> Option<&str> {
    let (_, value) = line.strip_prefix("pub const ")?.split_once(": &str = \"")?;
    value.strip_suffix("\";")
}

#[test]
fn comments_have_names_of_code_in_backticks() {
    // A comment on a setting is what `--help` prints, and names of types mean nothing there.
    const NAMES_OF_OTHERS: [&str; 5] = ["GitHub", "JavaScript", "ObjectId", "OpenMetric", "WebSocket"];
    let mut wrong = Vec::new();
    for file in files()
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
    {
        let text = read(file);
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if !line.starts_with("//") {
                continue;
            }
            // Not what stands in backticks, and not where a link leads.
            let prose = line.split('`').step_by(2).map(|part| match part.strip_prefix("](") {
                Some(link) => link.split_once(')').map_or("", |(_, rest)| rest),
                None => part,
            });
            let words = prose.flat_map(|part| part.split(|sign: char| !sign.is_alphanumeric()));
            let named =
                words.filter(|word| is_camel_case(word) && !NAMES_OF_OTHERS.contains(&word.trim_end_matches('s')));
            wrong.extend(named.map(|name| format!("{}:{}: {name}", file.display(), number + 1)));
        }
    }
    assert!(wrong.is_empty(), "without backticks:\n{}", wrong.join("\n"));
}

/// Whether a word is two or more words, each with a capital: `TwoWords`, and not `MongoDB`.
fn is_camel_case(word: &str) -> bool {
    let signs: Vec<char> = word.chars().collect();
    let begins = |two: &[char]| two[0].is_ascii_uppercase() && two[1].is_ascii_lowercase();
    signs.windows(2).filter(|two| begins(two)).count() > 1 && signs[0].is_ascii_uppercase()
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
fn the_threat_model_names_files_and_tests_that_are_there() {
    let text = read(Path::new("server/SECURITY.md"));
    let named = text.split('`').skip(1).step_by(2).filter(|word| word.contains(".rs"));
    let (mut tests, mut missing) = (0, Vec::new());
    for word in named {
        let (file, test) = word
            .split_once("::")
            .map_or((word, None), |(file, test)| (file, Some(test)));
        let path = Path::new("server").join(file);
        let is_there = testkit::workspace().join(&path).exists();
        let has_test = |test: &str| read(&path).contains(&format!("fn {test}("));
        tests += usize::from(test.is_some());
        if !is_there || test.is_some_and(|test| !has_test(test)) {
            missing.push(word);
        }
    }
    assert!(missing.is_empty(), "server/SECURITY.md names {missing:?}");
    assert!(tests > 40, "{tests} tests");
    let threats = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| who |"));
    for threat in threats {
        assert!(threat.contains("::"), "without a test: {threat}");
    }
}

#[test]
fn lock_files_name_no_registry() {
    for folder in ["server/tests/js", "server/tests/js/browser"] {
        let lock = read(&Path::new(folder).join("package-lock.json"));
        assert!(
            !lock.contains("\"resolved\""),
            "{folder}: install with the .npmrc beside the lock file"
        );
        let packages = lock.matches("\"node_modules/").count();
        assert_eq!(
            lock.matches("\"integrity\": \"sha512-").count(),
            packages,
            "{folder}: each package is pinned by its hash"
        );
    }
}
