//! An identity provider for tests: `tests/js/provider.js`, where the library `jose` makes keys and tokens, before the certificate of an
//! authority that only the tests trust.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::node::Script;
use testkit::token::seconds;
use testkit::{Engine, Setup};

/// A provider. Dropping it ends it.
pub(crate) struct Provider {
    script: Script,
    folder: TempDir,
    port: u64,
    /// The public keys in PEM, by their ids.
    pub(crate) public: Value,
    certificate: (String, String),
}

impl Provider {
    /// One with a key for each of these algorithms, whose name is its id.
    pub(crate) fn start(algorithms: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (authority, certificate, key) = certificate();
        std::fs::write(folder.path().join("authority.pem"), authority).expect("the folder is writable");
        let certificate = (certificate, key);
        let (script, started) = run(&certificate, 0, algorithms);
        Self {
            script,
            folder,
            port: started["port"].as_u64().expect("a port"),
            public: started["public"].clone(),
            certificate,
        }
    }

    /// Ends it, and starts another one in its place, with new keys.
    pub(crate) fn restart(&mut self, algorithms: &[&str]) {
        self.kill();
        (self.script, _) = run(&self.certificate, self.port, algorithms);
    }

    /// Ends it.
    pub(crate) fn kill(&mut self) {
        self.script.kill();
        while self.script.is_running() {
            std::thread::yield_now();
        }
    }

    /// Where it answers.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// A server that asks it, and has a secret as well.
    pub(crate) fn setup(&self) -> Setup {
        self.setup_at("/jwks")
    }

    /// The same with another address.
    pub(crate) fn setup_at(&self, path: &str) -> Setup {
        Setup::new(Engine::Embedded)
            .env("SSL_CERT_FILE", self.folder.path().join("authority.pem").display())
            .env("JWT_JWKS_URL", self.url(path))
            .env("JWT_JWKS_ALLOW_PRIVATE", "true")
    }

    fn ask(&mut self, question: &Value) -> Value {
        self.script.tell(question);
        self.script.report().expect("an answer")
    }

    /// Makes a key that is not published yet.
    pub(crate) fn make(&mut self, algorithm: &str, kid: &str) {
        self.ask(&json!({"make": algorithm, "kid": kid}));
    }

    /// Has the key set hold these keys and no others.
    pub(crate) fn publish(&mut self, kids: &[&str]) {
        self.ask(&json!({"publish": kids}));
    }

    /// How often the key set was asked for.
    pub(crate) fn requests(&mut self) -> u64 {
        self.ask(&json!({"requests": true}))["requests"]
            .as_u64()
            .expect("a number")
    }

    /// A token of a user that holds for an hour.
    pub(crate) fn token(&mut self, kid: &str, user: &str) -> String {
        self.signed(kid, &json!({"userId": user, "exp": seconds() + 3_600}), &json!({}))
    }

    /// Any claims, and more or other fields of the head.
    pub(crate) fn signed(&mut self, kid: &str, claims: &Value, header: &Value) -> String {
        let answer = self.ask(&json!({"sign": kid, "claims": claims, "header": header}));
        answer["token"].as_str().expect("a token").to_owned()
    }
}

fn run((cert, key): &(String, String), port: u64, algorithms: &[&str]) -> (Script, Value) {
    let argument = json!({"cert": cert, "key": key, "port": port, "algorithms": algorithms});
    let mut script = Script::start("provider.js", &argument);
    let started = script.report().expect("it starts");
    (script, started)
}

/// An authority, and a certificate of it for this machine with its key, all in PEM.
fn certificate() -> (String, String, String) {
    let key = KeyPair::generate().expect("keys can be made");
    let mut authority = CertificateParams::default();
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "authority of a test");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = authority.self_signed(&key).expect("the authority signs itself").pem();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().expect("keys can be made");
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let leaf = CertificateParams::new(names).expect("the names are some");
    let leaf = leaf.signed_by(&key, &issuer).expect("the authority signs");
    (own, leaf.pem(), key.serialize_pem())
}
