//! The programs of Prometheus: `prometheus` and `promtool`, out of Debian's package, fetched on first use.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const PACKAGE: &str = "prometheus";

/// The folder that holds `prometheus` and `promtool`: the one that `PROMETHEUS_BIN` names, or where Debian's package was unpacked.
///
/// # Panics
/// If there is none; the panic says what is needed.
pub fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        if let Some(folder) = std::env::var_os("PROMETHEUS_BIN").filter(|folder| !folder.is_empty()) {
            return folder.into();
        }
        fetched().unwrap_or_else(|why| {
            panic!(
                "tests need promtool and prometheus, and fetching Debian's package failed: {why}\n\
                 Either make `apt-get download {PACKAGE}` work, \
                 or set PROMETHEUS_BIN to a folder that holds both programs (2.42 or later)."
            )
        })
    })
}

/// Fetches the package, which `apt-get` checks against the archive's signature, and unpacks it. Nothing is installed, so it needs no
/// rights: the lists of the archive are kept beside it.
fn fetched() -> Result<PathBuf, String> {
    let text = |error: std::io::Error| error.to_string();
    let folder = crate::tools_dir().join("prometheus");
    let programs = folder.join("usr/bin");
    // Other test processes may come here at the same time; the lock ends with the file.
    let lock = File::create(crate::tools_dir().join("prometheus.lock")).map_err(text)?;
    lock.lock().map_err(text)?;
    if programs.exists() {
        return Ok(programs);
    }
    let scratch = tempfile::tempdir_in(crate::tools_dir()).map_err(text)?;
    let (lists, archives) = (scratch.path().join("lists"), scratch.path().join("archives"));
    for part in [&lists, &archives] {
        fs::create_dir_all(part.join("partial")).map_err(text)?;
    }
    let options = [
        format!("Dir::State::lists={}", lists.display()),
        format!("Dir::Cache={}", scratch.path().display()),
        // As who runs the tests: the folder is theirs.
        "APT::Sandbox::User=root".to_owned(),
    ];
    let options: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
    run(scratch.path(), "apt-get", &[&options[..], &["update"]].concat())?;
    run(
        scratch.path(),
        "apt-get",
        &[&options[..], &["download", PACKAGE]].concat(),
    )?;
    let unpacked = scratch.path().join("unpacked");
    let mut names = fs::read_dir(scratch.path()).map_err(text)?.flatten();
    let package = names
        .find(|entry| entry.path().extension().is_some_and(|extension| extension == "deb"))
        .ok_or("apt-get left no package")?;
    let (package, target) = (package.path().display().to_string(), unpacked.display().to_string());
    run(scratch.path(), "dpkg-deb", &["-x", &package, &target])?;
    fs::rename(unpacked, &folder).map_err(text)?;
    Ok(programs)
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program} does not run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program}: {}\n{}", output.status, said.trim()))
}
