//! Where the workspace builds to, and its programs where cargo did not build them for the test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of the workspace, with the profile of the running test, built first unless it is up to date.
pub(crate) fn binary(name: &str) -> PathBuf {
    let profile = profile_dir();
    // A test of the whole workspace has just built it. Building it alone would select other features of the crates
    // that it shares with the rest, and compile those again, here and at the next test.
    if is_fresh(&profile.join(name)) {
        return profile.join(name);
    }
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command
        .args(["build", "--package", name, "--bin", name, "--target-dir"])
        .arg(target_dir());
    run(command, &profile, name);
    profile.join(name)
}

/// An example of the workspace, built first unless it is up to date. `cargo test --workspace` builds all of them.
pub(crate) fn example(name: &str) -> PathBuf {
    let program = profile_dir().join("examples").join(name);
    if !is_fresh(&program) {
        let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        // As a test of the whole workspace does, which selects the same features of all crates.
        command
            .args(["test", "--workspace", "--no-run", "--example", name, "--target-dir"])
            .arg(target_dir());
        run(command, &profile_dir(), name);
    }
    program
}

/// The server with the feature `failpoints`, in a folder of its own, so that the programs under test stay as they are.
///
/// It is built the way a test of the whole workspace builds the server, as what an integration test needs, because
/// only that selects the same features of all other crates: with the intermediate files in the common folder
/// they need not be compiled again.
pub(crate) fn failpoint_server() -> PathBuf {
    let (target, profile) = (target_dir(), profile_dir());
    let folder = target.join("failpoints");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    // Other test processes may come here at the same time; the lock ends with the file.
    let lock = File::create(folder.join("lock")).expect("the target folder is writable");
    lock.lock().expect("a file can be locked");
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command
        .args([
            "test",
            "--workspace",
            "--no-run",
            "--test",
            "tidy",
            "--features",
            "server/failpoints",
        ])
        .arg("--target-dir")
        .arg(&folder)
        .env("CARGO_BUILD_BUILD_DIR", &target);
    run(command, &profile, "the server with failpoints");
    let name = profile.file_name().expect("a profile has a name");
    folder.join(name).join("server")
}

/// Runs a build with the profile whose programs lie in `profile`.
///
/// # Panics
/// If it fails; the panic shows why.
fn run(mut build: Command, profile: &Path, what: &str) {
    match profile.file_name().and_then(|profile| profile.to_str()) {
        Some("debug") | None => {}
        Some(profile) => {
            build.args(["--profile", profile]);
        }
    }
    let output = build.current_dir(workspace()).output().expect("cargo can be started");
    assert!(
        output.status.success(),
        "can't build {what}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Whether a program is newer than all that cargo noted it was made of.
fn is_fresh(program: &Path) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    let (Ok(built), Ok(notes)) = (modified(program), std::fs::read_to_string(program.with_extension("d"))) else {
        return false;
    };
    let sources = notes.split_once(": ").map_or("", |(_, sources)| sources);
    // A blank in a file's name is escaped; such a name is not found below, and the program built once more.
    let older = |path: &Path| modified(path).is_ok_and(|changed| changed <= built);
    sources.split_whitespace().map(Path::new).all(older) && older(&workspace().join("Cargo.lock"))
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
