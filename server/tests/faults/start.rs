//! How the server starts, and how it says why it can't.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use testkit::mongod::Mongod;
use testkit::process::{Process, eventually};
use testkit::server::{SECRET, command, fresh_database, with_database};
use testkit::{Engine, Server, Setup};

/// What a server that ends by itself said.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    elapsed: Duration,
}

/// Runs the server with these settings and nothing else, until it ends by itself.
pub(crate) fn run_to_end(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
    let begun = Instant::now();
    let mut process = Process::spawn(command(folder).args(arguments).envs(settings.iter().copied()));
    let status = process.wait(Duration::from_secs(60));
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let status = status.unwrap_or_else(|| panic!("it went on: {stdout}{stderr}"));
    Ended {
        status,
        stdout,
        stderr,
        elapsed: begun.elapsed(),
    }
}

/// Starts the server with these settings and nothing else, and waits for its start line.
pub(crate) fn start(folder: &Path, settings: &[(&str, &str)]) -> (Process, u16) {
    let process = Process::spawn(command(folder).envs(settings.iter().copied()));
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut position = 0;
    while let Some(line) = process.next_line(&mut position, deadline) {
        if let Some(port) = line.strip_prefix("Server running on port ") {
            return (process, port.parse().expect("a port"));
        }
    }
    panic!("it did not start: {}{}", process.stdout(), process.stderr());
}

#[test]
fn needs_no_setting_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    // All but the port, which may be taken where the tests run.
    let (mut process, port) = start(folder.path(), &[("PORT", "0")]);
    assert_ne!(port, 0);
    let secret_file = folder.path().join("data/jwt_secret");
    let mode = fs::metadata(&secret_file)
        .expect("the secret is kept")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = fs::read_to_string(&secret_file).expect("it can be read");
    assert!(
        secret.len() >= 32 && secret.trim() == secret,
        "whoever reads the whole file has the secret"
    );
    let said = process.stdout() + &process.stderr();
    assert!(!said.contains(secret.trim()), "the secret stays in its file");
    process.kill();

    let (mut process, _) = start(folder.path(), &[("PORT", "0")]);
    assert_eq!(
        fs::read_to_string(&secret_file).expect("it can be read"),
        secret,
        "it is made once"
    );
    process.kill();
}

#[test]
fn says_which_database_it_opened() {
    let embedded = Server::start(Engine::Embedded);
    assert!(
        !embedded.stdout().contains("MongoDB connected"),
        "{}",
        embedded.stdout()
    );
    let mongo = Server::start(Engine::Mongo);
    let lines: Vec<String> = mongo.stdout().lines().map(str::to_owned).collect();
    assert!(lines.contains(&"MongoDB connected".to_owned()), "{lines:?}");
    assert!(
        lines.contains(&format!("Server running on port {}", mongo.port())),
        "{lines:?}"
    );
}

#[test]
fn reads_the_settings_of_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = format!("# a comment\nPORT=0\nDATA_DIR=elsewhere\nJWT_SECRET=\"{SECRET}\"\n");
    fs::write(folder.path().join(".env"), settings).expect("a file");
    let (_process, port) = start(folder.path(), &[]);
    assert_ne!(port, 5000);
    assert!(folder.path().join("elsewhere").is_dir());
    assert!(
        !folder.path().join("elsewhere/jwt_secret").exists(),
        "the secret is given"
    );
}

#[test]
fn warns_of_a_short_secret_and_of_open_history() {
    let server = Setup::new(Engine::Embedded)
        .env("JWT_SECRET", "hush-hush")
        .env("LEGACY_OPEN_HISTORY", "true")
        .start();
    let said = server.stderr();
    assert!(
        said.contains("JWT_SECRET") && said.contains("openssl rand -hex 32"),
        "{said}"
    );
    assert!(said.contains("LEGACY_OPEN_HISTORY"), "{said}");
    assert!(!said.contains("hush-hush"), "{said}");

    let quiet = Server::start(Engine::Embedded).stderr();
    assert!(
        !quiet.contains("JWT_SECRET") && !quiet.contains("LEGACY_OPEN_HISTORY"),
        "{quiet}"
    );
}

#[test]
fn refuses_settings_that_make_no_sense_and_names_them() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, value) in [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("HOST", "not an address"),
        ("CORS_ORIGINS", "app.example.com"),
        ("LEGACY_OPEN_HISTORY", "perhaps"),
        ("LOG_FORMAT", "xml"),
        ("MAX_MESSAGE_BYTES", "0"),
        ("MAX_MESSAGE_BYTES", "many"),
        ("LOG_LEVEL", "server=loud"),
        ("LOG_LEVEL", "warning"),
        ("LOG_LEVEL", "infoo,server=debug"),
        ("LOG_LEVEL", "info,server"),
        ("LOG_LEVEL", "loud"),
        ("DATA_DIR", ""),
        ("MONGO_URI", ""),
        ("DATA_DIR", "/dev/null"),
        ("DATA_DIR", "/dev/null/x/y"),
        ("DATA_DIR", "/proc/nowhere"),
        ("MONGO_URI", "foo"),
        ("MONGO_URI", "postgres://user:hunter2@127.0.0.1/db"),
        ("MONGO_URI", "mongodb://user:hunter2@"),
        ("MONGO_URI", "mongodb://user:hunter2@127.0.0.1/?maxPoolSize=-1"),
        (
            "MONGO_URI",
            "mongodb://user:hunter2@a.invalid,b.invalid/?directConnection=true",
        ),
        (
            "MONGO_URI",
            "mongodb://user:hunter2@127.0.0.1/?tls=true&tlsCAFile=/nowhere/ca.pem",
        ),
    ] {
        let ended = run_to_end(folder.path(), &[], &[("PORT", "0"), (name, value)]);
        assert_eq!(ended.status.code(), Some(2), "{name}={value}: {}", ended.stderr);
        assert!(
            !folder.path().join("data").exists(),
            "{name}={value}: something was begun"
        );
        let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
        let named = ended.stderr.contains(name) || ended.stderr.contains(&flag);
        assert!(named, "{name}={value} is not named: {}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{name}: {}", ended.stderr);
        assert!(!ended.stdout.contains("Server running"), "{name}={value}");
        assert!(
            name != "LOG_LEVEL" || ended.stderr.contains("error, warn, info, debug, trace"),
            "{name}={value}: what is allowed is not said: {}",
            ended.stderr
        );
        assert!(
            !ended.stderr.contains("invalid digit") && !ended.stderr.contains("not a boolean"),
            "{name}={value}: that says nothing to do: {}",
            ended.stderr
        );
    }
    let ended = run_to_end(folder.path(), &["--no-such-flag"], &[]);
    assert!(
        ended.status.code() == Some(2) && ended.stderr.contains("--no-such-flag"),
        "{}",
        ended.stderr
    );
    fs::write(folder.path().join(".env"), "PORT=http\n").expect("a file");
    let ended = run_to_end(folder.path(), &[], &[]);
    assert!(
        ended.status.code() == Some(2) && ended.stderr.contains("http"),
        "{}",
        ended.stderr
    );
}

#[test]
fn says_why_it_cannot_reach_mongodb() {
    let folder = tempfile::tempdir().expect("a folder");
    // A port that refuses connections, one that takes them and never speaks, a name that nobody has.
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed_port = closed.local_addr().expect("an address").port();
    drop(closed);
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mute_port = mute.local_addr().expect("an address").port();
    for host in [
        format!("127.0.0.1:{closed_port}"),
        format!("127.0.0.1:{mute_port}"),
        "nowhere.invalid:27017".to_owned(),
    ] {
        let uri = format!("mongodb://user:hunter2@{host}/chat?authSource=admin");
        let ended = run_to_end(folder.path(), &[], &[("PORT", "0"), ("MONGO_URI", &uri)]);
        assert_eq!(ended.status.code(), Some(1), "{host}: {}", ended.stderr);
        assert!(ended.elapsed < Duration::from_secs(10), "{host}: {:?}", ended.elapsed);
        assert!(ended.stderr.contains(&host), "{host}: {}", ended.stderr);
        assert!(ended.stderr.contains("MongoDB"), "{host}: {}", ended.stderr);
        let waits = ended.stderr.lines().find(|line| line.contains("waiting for MongoDB"));
        assert!(
            waits.is_some_and(|line| line.contains(&host)),
            "{host}: {}",
            ended.stderr
        );
        let said = ended.stdout + &ended.stderr;
        assert!(!said.contains("hunter2"), "{host}: {said}");
        assert!(
            !said.contains("MongoDB connected") && !said.contains("Server running"),
            "{host}: {said}"
        );
        assert!(!said.contains("the wait for MongoDB is over"), "{host}: {said}");
    }
}

#[test]
fn says_which_documents_are_in_the_way_of_a_unique_index() {
    let uri = with_database(&testkit::mongod::uri(), &fresh_database());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ids = ["1".repeat(24), "2".repeat(24)];
    runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(&uri).await.expect("a client");
        let database = client.default_database().expect("it is named");
        let id = |id: &String| bson::oid::ObjectId::parse_str(id).expect("an id");
        let user = |of: &String| bson::doc! { "_id": id(of), "username": "twice", "usernameKey": "twice" };
        let users = database.collection::<bson::Document>("users");
        users.insert_many(ids.iter().map(user)).await.expect("they are stored");
    });
    let folder = tempfile::tempdir().expect("a folder");
    let ended = run_to_end(folder.path(), &[], &[("PORT", "0"), ("MONGO_URI", &uri)]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let last = ended.stderr.lines().last().expect("a line");
    assert!(last.contains("remove the field from the others"), "{}", ended.stderr);
    assert!(ids.iter().all(|id| last.contains(id)), "{}", ended.stderr);
}

#[test]
fn says_that_it_waits_for_mongodb_and_goes_on() {
    let deployment = Mongod::standalone();
    deployment.pause(0);
    let folder = tempfile::tempdir().expect("a folder");
    // The driver gives up sooner than the server says that it waits.
    let uri = format!(
        "{}/?serverSelectionTimeoutMS=300&connectTimeoutMS=300",
        deployment.uri().trim_end_matches('/')
    );
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = port.expect("a port").port();
    let connect = || TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.kind());
    let text = port.to_string();
    let settings = [("PORT", text.as_str()), ("MONGO_URI", &uri), ("JWT_SECRET", SECRET)];
    let process = Process::spawn(command(folder.path()).envs(settings));
    let patience = Duration::from_secs(60);
    eventually("it says that it waits", patience, || {
        process.stderr().contains("waiting for MongoDB").then_some(())
    });
    // Nobody gets through who would not be answered.
    assert_eq!(connect().err(), Some(ErrorKind::ConnectionRefused));
    deployment.resume(0);
    eventually("it runs", patience, || {
        process.stdout().contains("Server running").then_some(())
    });
    assert_eq!(connect().err(), None);
    eventually("it says that it waits no more", patience, || {
        process.stderr().contains("the wait for MongoDB is over").then_some(())
    });
}

#[test]
fn says_when_its_port_or_its_database_is_taken() {
    let server = Server::start(Engine::Embedded);
    let folder = tempfile::tempdir().expect("a folder");
    let port = server.port().to_string();
    let ended = run_to_end(folder.path(), &[], &[("PORT", &port)]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&port), "{}", ended.stderr);

    let data = server.folder().join("data").display().to_string();
    let ended = run_to_end(
        folder.path(),
        &[],
        &[("PORT", "0"), ("DATA_DIR", &data), ("JWT_SECRET", SECRET)],
    );
    assert_eq!(
        ended.status.code(),
        Some(1),
        "two servers on one embedded database: {}",
        ended.stderr
    );
    assert!(ended.stderr.contains("data"), "{}", ended.stderr);
}
