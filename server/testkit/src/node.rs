//! The stock JavaScript clients, run by Node.js from their lock file.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::Process;

/// How long a script may take before the test fails; slow machines are meant to pass.
pub const TIMEOUT: Duration = Duration::from_secs(180);

/// A running script. Dropping it ends it.
#[derive(Debug)]
pub struct Script {
    name: String,
    process: Process,
    read: usize,
    deadline: Instant,
}

impl Script {
    /// Starts a script of `server/tests/js` with its one argument, a JSON value.
    pub fn start(name: &str, argument: &Value) -> Self {
        Self::start_at(&scripts().join(name), &[&argument.to_string()], &[])
    }

    /// Starts the script of this path with these arguments and with more variables in its environment. It finds the
    /// same packages.
    pub fn start_at(path: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_with(path, arguments, environment, &modules())
    }

    /// The same with the packages of this `node_modules`.
    pub fn start_with(path: &Path, arguments: &[&str], environment: &[(&str, &str)], modules: &Path) -> Self {
        let process = Process::spawn(
            Command::new(program("NODE", "node"))
                .arg(path)
                .args(arguments)
                .env("NODE_PATH", modules)
                .env_remove("NODE_OPTIONS")
                .envs(environment.iter().copied()),
        );
        Self {
            name: path.display().to_string(),
            process,
            read: 0,
            deadline: Instant::now() + TIMEOUT,
        }
    }

    /// Kills it (`kill -9`).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.process.wait(Duration::ZERO).is_none()
    }

    /// What it wrote to standard error.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// The next line that the script reports, a JSON value; `None` once it has ended.
    ///
    /// # Panics
    /// If the script takes too long or prints something else.
    pub fn report(&mut self) -> Option<Value> {
        match self.process.next_line(&mut self.read, self.deadline) {
            Some(line) => Some(serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}: {line}", self.name))),
            None if self.process.wait(Duration::from_secs(10)).is_some() => None,
            None => panic!("{} took longer than {TIMEOUT:?}\n{}", self.name, self.process.stderr()),
        }
    }

    /// Gives the script a line to read, a JSON value.
    pub fn tell(&mut self, value: &Value) {
        self.process.write_line(&value.to_string());
    }

    /// Waits for the script's end and returns what it reported since.
    ///
    /// # Panics
    /// If it fails; the panic shows what it wrote to standard error.
    pub fn finish(mut self) -> Vec<Value> {
        self.process.close_stdin();
        let reports: Vec<Value> = std::iter::from_fn(|| self.report()).collect();
        let status = self.process.wait(Duration::from_secs(10)).expect("report saw its end");
        assert!(status.success(), "{}: {status}\n{}", self.name, self.process.stderr());
        reports
    }
}

/// Runs a script to its end and returns what it reported.
///
/// # Panics
/// If it fails or takes longer than [`TIMEOUT`].
pub fn run(name: &str, argument: &Value) -> Vec<Value> {
    Script::start(name, argument).finish()
}

/// The `node_modules` in which scripts find their packages. A module of the newer kind (`.mjs`) looks for them only beside itself.
pub fn modules() -> PathBuf {
    packages().join("node_modules")
}

fn scripts() -> PathBuf {
    crate::workspace().join("server/tests/js")
}

/// The program that a variable names, else this one: `NODE` and `node`, `NPM` and `npm`.
pub fn program(variable: &str, default: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// The folder that holds `node_modules`, installed on first use and kept for as long as the lock file is the same.
pub fn packages() -> &'static Path {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    PACKAGES.get_or_init(|| install(&scripts(), "js"))
}

/// As [`packages`], of the lock file in any folder of the project; `name` tells it from others.
pub(crate) fn install(locked: &Path, name: &str) -> PathBuf {
    const FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];
    let files = FILES.map(|file| locked.join(file));
    once(name, &files, |folder| {
        for file in &files {
            fs::copy(file, folder.join(file.file_name().expect("it has a name")))
                .expect("the tools folder is writable");
        }
        npm(folder, &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    })
}

/// Makes a folder of tools, unless one of the same name was made before of files that are the same as these.
pub(crate) fn once(name: &str, files: &[PathBuf], make: impl FnOnce(&Path)) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    for file in files {
        let content = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        content.hash(&mut hasher);
    }
    let tools = crate::tools_dir();
    let folder = tools.join(format!("{name}-{:016x}", hasher.finish()));
    let complete = folder.join("complete");

    // Other test processes may come here at the same time; the lock ends with the file.
    let lock = File::create(tools.join(format!("{name}.lock"))).expect("the tools folder is writable");
    lock.lock().expect("a file can be locked");
    if complete.exists() {
        return folder;
    }
    fs::create_dir_all(&folder).expect("the tools folder is writable");
    make(&folder);
    File::create(complete).expect("the tools folder is writable");
    folder
}

/// Runs npm in a folder; what it printed.
///
/// # Panics
/// If it fails; the panic shows why.
pub fn npm(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program("NPM", "npm"));
    match command.args(arguments).current_dir(folder).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(output) => panic!(
            "`npm {}` in {} failed; the tests need it once, with access to the npm registry:\n{}",
            arguments.join(" "),
            folder.display(),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("can't run npm ({error}): install Node.js 20.19 or newer with npm, then test again"),
    }
}
