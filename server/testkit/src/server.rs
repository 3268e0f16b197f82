//! The shipped server, started as a user would start it: own data, own port, known secret.

use std::path::Path;
use std::process::ExitStatus;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rlimit::Resource;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::http::Request;

use crate::http::{self, Answer};
use crate::process::Process;
use crate::{mongod, token};

mod launch;

use launch::launch;
pub use launch::{binary, command};

/// The secret of every server that a test doesn't give another one.
pub const SECRET: &str = "a secret that only the tests know of 32 bytes and more";

/// Where a server keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// SQLite in the server's data directory.
    Embedded,
    /// A database of its own in the mongod of [`mongod::uri`].
    Mongo,
}

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Setup {
    mongo_uri: Option<String>,
    /// Whether it is the build with failpoints.
    failpoints: bool,
    environment: Vec<(String, String)>,
    /// Where its standard streams go, as the shell has it; empty to keep them.
    redirects: String,
}

impl Setup {
    /// The defaults for tests, with a fresh database.
    pub fn new(engine: Engine) -> Self {
        match engine {
            Engine::Embedded => Self {
                mongo_uri: None,
                failpoints: false,
                environment: Vec::new(),
                redirects: String::new(),
            },
            Engine::Mongo => Self::on(&with_database(&mongod::uri(), &fresh_database())),
        }
    }

    /// The defaults for tests, with this `MONGO_URI`.
    pub fn on(mongo_uri: &str) -> Self {
        Self {
            mongo_uri: Some(mongo_uri.to_owned()),
            failpoints: false,
            environment: Vec::new(),
            redirects: String::new(),
        }
    }

    /// Sets a setting by the name of its environment variable.
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sends its standard streams elsewhere, as the shell has it: `2>/dev/full`. What goes there is not kept, and it counts
    /// as started once it answers.
    pub fn redirected(mut self, redirects: impl Into<String>) -> Self {
        self.redirects = redirects.into();
        self
    }

    /// Breaks an invariant on purpose, by failpoints as `FAILPOINTS` has them; the server's `failpoints` module lists them.
    /// The server is then another build, which is made first.
    pub fn failpoints(mut self, actions: &str) -> Self {
        self.failpoints = true;
        self.env("FAILPOINTS", actions)
    }

    /// Starts the server and waits until it takes connections.
    ///
    /// # Panics
    /// If it doesn't start; the panic shows what it wrote.
    pub fn start(self) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        // Not a free port of the system's choice: the system could give it away while the server restarts.
        for _ in 0..20 {
            let ports = Ports {
                clients: reserved_port(),
                administration: reserved_port(),
            };
            match launch(&self, folder.path(), ports) {
                Ok(process) => {
                    return Server {
                        setup: self,
                        folder,
                        ports,
                        process,
                    };
                }
                Err(reason) if reason.contains("in use") => {}
                Err(reason) => panic!("{reason}"),
            }
        }
        panic!("no free port found for the server");
    }
}

/// A server. Dropping it kills it, and shows what it wrote if the test has failed.
#[derive(Debug)]
pub struct Server {
    setup: Setup,
    folder: TempDir,
    ports: Ports,
    process: Process,
}

/// Where a server listens, the same after a restart.
#[derive(Debug, Clone, Copy)]
struct Ports {
    clients: u16,
    /// `ADMIN_LISTEN`, unless a test sets another one.
    administration: u16,
}

impl Server {
    /// Starts one with a fresh database.
    pub fn start(engine: Engine) -> Self {
        Setup::new(engine).start()
    }

    /// The one that all tests of this process share, for tests that only add users and messages of their own.
    pub fn shared(engine: Engine) -> &'static Self {
        static EMBEDDED: OnceLock<Server> = OnceLock::new();
        static MONGO: OnceLock<Server> = OnceLock::new();
        let server = match engine {
            Engine::Embedded => &EMBEDDED,
            Engine::Mongo => &MONGO,
        };
        server.get_or_init(|| Self::start(engine))
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.clients)
    }

    /// The same of administration.
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.administration)
    }

    /// The port it listens on, the same after a restart.
    pub fn port(&self) -> u16 {
        self.ports.clients
    }

    /// The secret that signs its tokens.
    pub fn secret(&self) -> &'static str {
        SECRET
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The memory that it has in use now, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs, on Linux");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        resident.expect("the kernel tells it in kB") * 1024
    }

    /// How many files and connections it has open now.
    pub fn open_files(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.pid()));
        files.expect("it runs, on Linux").count()
    }

    /// Lets no file of its grow beyond so many bytes from now on, as if the disk were full; `None` makes room again.
    /// A restart makes room, too.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let process = self.pid().try_into().expect("process ids fit");
        let (mut soft, mut hard) = (0, 0);
        rlimit::prlimit(process, Resource::FSIZE, None, Some((&mut soft, &mut hard))).expect("it runs, on Linux");
        // Only the soft limit: nobody could raise the other one again without being root.
        rlimit::prlimit(process, Resource::FSIZE, Some((bytes.unwrap_or(hard), hard)), None)
            .expect("a process of the same user");
    }

    /// Lets it open no more than so many files and connections from now on.
    pub fn limit_open_files(&self, count: u64) {
        let process = self.pid().try_into().expect("process ids fit");
        let (mut soft, mut hard) = (0, 0);
        rlimit::prlimit(process, Resource::NOFILE, None, Some((&mut soft, &mut hard))).expect("it runs, on Linux");
        rlimit::prlimit(process, Resource::NOFILE, Some((count, hard)), None).expect("a process of the same user");
    }

    /// Its working folder, which holds `data`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its `MONGO_URI`; none if it is embedded.
    pub fn mongo_uri(&self) -> Option<&str> {
        self.setup.mongo_uri.as_deref()
    }

    /// What it wrote to standard output since it was started last.
    pub fn stdout(&self) -> String {
        self.process.stdout()
    }

    /// What it wrote to standard error since it was started last.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// A token of this user.
    pub fn token(&self, user_id: &str) -> String {
        token::user(SECRET, user_id)
    }

    /// A token of an administrator.
    pub fn admin_token(&self) -> String {
        token::admin(SECRET)
    }

    /// The ids of the users of these names, created if need be.
    pub fn users<const N: usize>(&self, names: [&str; N]) -> [String; N] {
        let answer = self.post("/users", &self.admin_token(), &json!({"usernames": names.as_slice()}));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let body = answer.json();
        std::array::from_fn(|index| text(&body["users"][index]["_id"]))
    }

    /// `N` new users that no other test knows.
    pub fn new_users<const N: usize>(&self) -> [String; N] {
        let names: [String; N] = std::array::from_fn(|index| format!("user {index} of {}", fresh_database()));
        self.users(names.each_ref().map(String::as_str))
    }

    /// `GET path`, with a bearer token unless it is empty.
    pub fn get(&self, path: &str, token: &str) -> Answer {
        http::send(self.request("GET", path, token, Vec::new()))
    }

    /// `POST path` of a JSON body.
    pub fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        let mut request = self.request("POST", path, token, body.to_string().into_bytes());
        let json = "application/json".parse().expect("a header value");
        request.headers_mut().insert("content-type", json);
        http::send(request)
    }

    /// Any request to this server, with a bearer token unless it is empty; one for administration goes where that is served.
    pub fn request(&self, method: &str, path: &str, token: &str, body: Vec<u8>) -> Request<Vec<u8>> {
        let url = match path.starts_with("/admin/") {
            true => self.admin_url(),
            false => self.url(),
        };
        let mut request = Request::builder().method(method).uri(url + path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.body(body).expect("a well-formed request")
    }

    /// The whole history between two users, as one of them gets it.
    pub fn history(&self, a: &str, b: &str) -> Vec<Value> {
        let answer = self.get(&format!("/chat/history/{a}/{b}"), &self.token(a));
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).expect("a history is an array")
    }

    /// Kills it (`kill -9`).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to stop (SIGTERM). Returns how it ended and how long that took.
    ///
    /// # Panics
    /// If it takes a minute.
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.stop("TERM")
    }

    /// Interrupts it (SIGINT), as Ctrl+C does. As [`terminate`](Self::terminate) otherwise.
    pub fn interrupt(&mut self) -> (ExitStatus, Duration) {
        self.stop("INT")
    }

    /// Sends it a signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits until it has ended by itself. Returns how it ended and how long that took.
    ///
    /// # Panics
    /// If it takes a minute.
    pub fn ended(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let status = self.process.wait(Duration::from_secs(60));
        (status.expect("it ends within a minute"), begun.elapsed())
    }

    /// Sends it a signal after which it should end. As [`terminate`](Self::terminate) otherwise.
    pub fn stop(&mut self, signal: &str) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.process.signal(signal);
        match self.process.wait(Duration::from_secs(60)) {
            Some(status) => (status, begun.elapsed()),
            None => panic!("the server did not end within a minute of SIG{signal}"),
        }
    }

    /// Starts it again on the same port with the same data, after killing it if it still runs.
    pub fn restart(&mut self) {
        self.kill();
        self.process = launch(&self.setup, self.folder.path(), self.ports).unwrap_or_else(|reason| panic!("{reason}"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the server wrote ---\n{}{}---", self.stdout(), self.stderr());
        }
    }
}

/// The same deployment with this database.
pub fn with_database(uri: &str, database: &str) -> String {
    let (address, options) = uri.split_once('?').unwrap_or((uri, ""));
    let address = address.trim_end_matches('/');
    match options {
        "" => format!("{address}/{database}"),
        _ => format!("{address}/{database}?{options}"),
    }
}

/// A name that no other test uses.
pub fn fresh_database() -> String {
    format!("test_{:016x}", rand::random::<u64>())
}

/// A port outside the range that systems give to outgoing connections.
fn reserved_port() -> u16 {
    rand::random_range(12_000..32_000)
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
