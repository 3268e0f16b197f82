//! Python, and the packages of `shared/examples/requirements.txt` and `server/tests/python/*.txt`, installed on first use.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Runs `python3` in a folder to its end.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("python3")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("python3 does not run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "python3 {}: {}\n{}",
        arguments.join(" "),
        output.status,
        said.trim()
    ))
}

/// The folder for `PYTHONPATH` that holds the packages of the examples, kept for as long as the list is the same.
///
/// # Panics
/// If they can't be installed; the panic says what is needed.
pub fn packages() -> &'static Path {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    // The wheels that fit every system and version of Python: of each there is one, whose hash is in the list.
    let everywhere = ["--platform", "any", "--implementation", "py", "--abi", "none"];
    PACKAGES.get_or_init(|| installed("shared/examples/requirements.txt", &everywhere))
}

/// The same of the packages that make keys and tokens, which are for this system and this version of Python.
///
/// # Panics
/// Likewise.
pub fn token_packages() -> &'static Path {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    PACKAGES.get_or_init(|| installed("server/tests/python/requirements.txt", &[]))
}

/// The same of what tries requests out by the document of the contract.
///
/// # Panics
/// Likewise.
pub fn contract_packages() -> &'static Path {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    PACKAGES.get_or_init(|| installed("server/tests/python/contract.txt", &[]))
}

fn installed(list: &str, options: &[&str]) -> PathBuf {
    let installed = install(list, options);
    installed.unwrap_or_else(|why| panic!("tests need pip once, with access to PyPI: {why}"))
}

fn install(list: &str, options: &[&str]) -> Result<PathBuf, String> {
    let text = |error: std::io::Error| error.to_string();
    let list = crate::workspace().join(list);
    let mut hasher = DefaultHasher::new();
    fs::read(&list).map_err(text)?.hash(&mut hasher);
    let tools = crate::tools_dir();
    let folder = tools.join(format!("python-{:016x}", hasher.finish()));

    // Other test processes may come here at the same time; the lock ends with the file.
    let lock = File::create(tools.join("python.lock")).map_err(text)?;
    lock.lock().map_err(text)?;
    if folder.exists() {
        return Ok(folder);
    }
    let scratch = tempfile::tempdir_in(&tools).map_err(text)?;
    let (list, target) = (list.display().to_string(), scratch.path().display().to_string());
    let mut pip = vec![
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
    ];
    pip.extend(options);
    pip.extend(["--target", &target, "-r", &list]);
    run(&tools, &pip)?;
    fs::rename(scratch.keep(), &folder).map_err(text)?;
    Ok(folder)
}

/// Runs a script with all these packages to its end, and returns what it printed.
///
/// # Panics
/// If it fails; the panic shows what it wrote to standard error.
pub fn script(path: &str, arguments: &[&str]) -> String {
    let packages = [packages(), token_packages()];
    let packages = std::env::join_paths(packages).expect("the folders of the tools have no colon");
    let output = Command::new("python3")
        .arg(crate::workspace().join(path))
        .args(arguments)
        .env("PYTHONPATH", packages)
        .stdin(Stdio::null())
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{path}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).expect("it prints text")
}
