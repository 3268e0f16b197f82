//! Where the workspace builds to, and its programs where cargo did not build them for the test.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds a program of the workspace into the folder of the running test, with its profile, and returns its path.
pub(crate) fn binary(name: &str) -> PathBuf {
    let profile = profile_dir();
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command
        .args(["build", "--package", name, "--bin", name, "--target-dir"])
        .arg(target_dir())
        .current_dir(workspace());
    match profile.file_name().and_then(|profile| profile.to_str()) {
        Some("debug") | None => {}
        Some(profile) => {
            command.args(["--profile", profile]);
        }
    }
    let output = command.output().expect("cargo can be started");
    assert!(
        output.status.success(),
        "can't build {name}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    profile.join(name)
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Where downloaded test tools are kept, beside what cargo builds; created if need be.
pub fn tools_dir() -> PathBuf {
    let tools = target_dir().join("test-tools");
    std::fs::create_dir_all(&tools).expect("the target folder is writable");
    tools
}

/// The folder that cargo builds into, which cargo marks: the test program stands in it.
fn target_dir() -> PathBuf {
    let test = test_program();
    let marked = test.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    match (marked, std::env::var_os("CARGO_TARGET_DIR")) {
        (Some(folder), _) => folder.to_owned(),
        (None, Some(folder)) => folder.into(),
        (None, None) => workspace().join("target"),
    }
}

/// `target/<profile>`: two above `target/<profile>/deps/<test>`.
fn profile_dir() -> PathBuf {
    let test = test_program();
    let deps = test.parent().expect("a program has a folder");
    if deps.ends_with("deps") {
        deps.parent().expect("deps has a parent").to_owned()
    } else {
        deps.to_owned()
    }
}

fn test_program() -> PathBuf {
    std::env::current_exe().expect("a process knows its program")
}
