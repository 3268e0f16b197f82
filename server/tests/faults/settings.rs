//! The settings are told in two places, which must agree with the program: its help and `.env.example`.

use std::collections::BTreeSet;
use std::fs;

use testkit::server::command;

fn help() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let output = command(folder.path()).arg("--help").output().expect("it starts");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("a text")
}

fn names_in_help() -> BTreeSet<String> {
    let help = help();
    let names = help.split("[env: ").skip(1).map(|rest| {
        let end = rest.find(['=', ']']).expect("clap closes what it opens");
        rest[..end].to_owned()
    });
    names.collect()
}

#[test]
fn help_lists_every_setting() {
    let names = names_in_help();
    for name in [
        "HOST",
        "PORT",
        "MONGO_URI",
        "DATA_DIR",
        "JWT_SECRET",
        "CORS_ORIGINS",
        "LEGACY_OPEN_HISTORY",
        "LOG_FORMAT",
        "MAX_MESSAGE_BYTES",
    ] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
}

#[test]
fn the_example_lists_every_setting_and_no_other() {
    let example = fs::read_to_string(testkit::workspace().join(".env.example")).expect(".env.example");
    let listed: BTreeSet<String> = example
        .lines()
        .map(|line| line.trim_start_matches(['#', ' ']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.to_owned())
        .filter(|name| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
        .collect();
    assert_eq!(listed, names_in_help());
}

/// The help is made of comments in the code, where a renaming of a type may have taken a word for that type.
#[test]
fn help_names_no_type() {
    let help = help();
    let words: BTreeSet<&str> = help
        .split(|sign: char| !sign.is_alphanumeric())
        .filter(|word| word.starts_with(|first: char| first.is_ascii_uppercase()))
        .filter(|word| {
            let mut rest = word.chars().skip(1);
            rest.any(|sign| sign.is_ascii_lowercase()) && rest.any(|sign| sign.is_ascii_uppercase())
        })
        .collect();
    assert_eq!(words, BTreeSet::from(["MongoDB"]));
}
