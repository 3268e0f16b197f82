//! Starting the server's program, and waiting until it has started.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ureq::http::Request;

use super::{Ports, SECRET, Setup};
use crate::http;
use crate::process::Process;

/// How long a server may take to start; slow machines are meant to pass.
const START: Duration = Duration::from_secs(60);

/// The server's command with nothing of this process's environment that it would read, to be run in `folder`.
pub fn command(folder: &Path) -> Command {
    bare_command(binary(), folder)
}

fn bare_command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear();
    for name in ["PATH", "HOME", "TMPDIR", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Starts the server and waits for its start line. Otherwise says what happened instead.
pub(super) fn launch(setup: &Setup, folder: &Path, ports: Ports) -> Result<Process, String> {
    let port = ports.clients;
    let program = match setup.failpoints {
        true => failpoint_binary(),
        false => binary(),
    };
    let mut command = match setup.redirects.as_str() {
        "" => bare_command(program, folder),
        redirects => {
            let mut shell = bare_command(Path::new("sh"), folder);
            shell.arg("-c").arg(format!("exec \"$0\" {redirects}")).arg(program);
            shell
        }
    };
    // Tests send as fast as they can; those of the rates set this, and where the limits begin.
    command.env("RATE_LIMITS", "off");
    // What tests count are the events of the protocol; those of hints set this.
    command.env("DEV_HINTS", "false");
    command.env("PORT", port.to_string()).env("JWT_SECRET", SECRET);
    command.env("ADMIN_LISTEN", format!("127.0.0.1:{}", ports.administration));
    if let Some(uri) = &setup.mongo_uri {
        command.env("MONGO_URI", uri);
    }
    command.envs(setup.environment.iter().map(|(name, value)| (name, value)));

    let process = Process::spawn_in(&mut command, Some(folder));
    let deadline = Instant::now() + START;
    if !setup.redirects.is_empty() {
        return answering(process, port, deadline);
    }
    let ready = format!("Server running on port {port}");
    let mut position = 0;
    while let Some(line) = process.next_line(&mut position, deadline) {
        // With `LOG_FORMAT=json` it is in an object.
        if line == ready || line.contains(&format!("\"{ready}\"")) {
            return Ok(process);
        }
    }
    let (stdout, stderr) = (process.stdout(), process.stderr());
    Err(format!(
        "the server did not print {ready:?} within {START:?}:\n{stdout}{stderr}"
    ))
}

/// Waits until a server whose start line can't be read answers.
fn answering(mut process: Process, port: u16, deadline: Instant) -> Result<Process, String> {
    let address = format!("http://127.0.0.1:{port}/healthz");
    while Instant::now() < deadline {
        let request = Request::get(&address).body(Vec::new()).expect("a well-formed request");
        let answered = http::try_send(request).is_ok();
        if process.wait(Duration::from_millis(20)).is_some() {
            // Most likely, and whoever answered was another program.
            return Err(format!("the port {port} may be in use"));
        }
        if answered {
            return Ok(process);
        }
    }
    Err(format!("the server did not answer within {START:?}"))
}

/// The program under test, built first where the tests are not the server package's own.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("CARGO_BIN_EXE_server") {
        Some(path) => path.into(),
        None => crate::build::binary("server"),
    })
}

fn failpoint_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(crate::build::failpoint_server)
}
