//! From flags, the environment and `.env` to a [`Config`], and what is to be said of them in the log.

use std::ffi::OsString;
use std::fmt;

use shared::settings::report::Listed;
pub use shared::settings::report::Problem;
use shared::settings::{Origin, Settings, SettingsError};

use super::{Config, LogFormat};

/// The settings that decide where data goes. Without a value they are refused: an operator who left one out by mistake would
/// find an empty database.
const NEVER_EMPTY: [&str; 2] = ["MONGO_URI", "DATA_DIR"];

/// The secrets that can also stand in the file that their name with `_FILE` names.
const IN_FILES: [&str; 1] = ["MONGO_URI"];

/// What other programs call `MONGO_URI`.
const MONGO_URI_ELSEWHERE: [&str; 5] = [
    "MONGODB_URI",
    "MONGODB_URL",
    "MONGO_URL",
    "DATABASE_URL",
    "DATABASE_URI",
];

/// A configuration, and where it comes from.
pub struct Given {
    /// The configuration.
    pub config: Config,
    arguments: Vec<OsString>,
    settings: Settings,
    /// The variables that a flag goes before.
    flags: Vec<String>,
}

/// Why there is no configuration, and how to say so.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ConfigError {
    /// Why not.
    pub error: SettingsError,
    /// All that is wrong, if `--check-config` asks for that, and what is said besides.
    pub problems: Vec<Problem>,
    /// What is said besides, if that can be read.
    pub rest: Option<Box<Given>>,
    /// How lines are written, as far as that could be found out.
    pub log_format: LogFormat,
}

/// Reads the flags, the environment and `.env`. The first argument is the program's name.
///
/// # Errors
/// [`ConfigError`], also if help was asked for.
pub fn read(arguments: &[OsString]) -> Result<Given, ConfigError> {
    let refused = |error, log_format| ConfigError {
        error,
        problems: Vec::new(),
        rest: None,
        log_format,
    };
    let settings = Settings::read(&NEVER_EMPTY)
        .map_err(|error| refused(error, log_format(arguments, &Settings::default())))?
        .with_files(&IN_FILES, arguments);
    let error = match settings.parse(arguments) {
        Ok(config) => return Ok(Given::new(config, arguments, settings)),
        Err(error) => error,
    };
    let mut refused = refused(error, log_format(arguments, &settings));
    if arguments.iter().any(|argument| argument == "--check-config") {
        let (problems, rest) = settings.problems(arguments);
        refused.problems = problems;
        refused.rest = rest.map(|config| Box::new(Given::new(config, arguments, settings)));
    }
    Err(refused)
}

/// The names of the flags; values may be secrets.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Given").field(&self.flags).finish()
    }
}

impl Given {
    fn new(config: Config, arguments: &[OsString], settings: Settings) -> Self {
        Self {
            config,
            flags: arguments.iter().filter_map(variable).collect(),
            arguments: arguments.to_vec(),
            settings,
        }
    }

    /// What `.env` says of a name, which is what another program in this folder finds.
    pub fn in_file(&self, name: &str) -> Option<&str> {
        self.settings.in_file(name)
    }

    /// Where a variable has its value from, if that is `.env` or a file of its own.
    pub fn file_of(&self, name: &str) -> Option<Origin> {
        match self.flags.iter().any(|flag| flag == name) {
            true => None,
            false => self
                .settings
                .origin_of(name)
                .filter(|origin| *origin != Origin::Environment),
        }
    }

    /// All settings with their values, secrets left out.
    pub fn list(&self) -> Vec<Listed> {
        // It was read once before, so nothing is wrong.
        self.settings.list::<Config>(&self.arguments).unwrap_or_default()
    }

    /// What a setting means, in a line.
    pub fn meaning(&self, name: &str) -> Option<String> {
        Settings::meaning::<Config>(name)
    }

    /// Logs what the operator may have meant otherwise.
    pub fn warn(&self) {
        for line in self.settings.passed_over() {
            tracing::warn!(line, "this line of .env is not NAME=value and says nothing");
        }
        let named = MONGO_URI_ELSEWHERE
            .iter()
            .find(|name| self.config.mongo_uri.is_none() && self.settings.get(name).is_some());
        if let Some(name) = named {
            tracing::warn!(
                "{name} is set and not read; MONGO_URI, which names the database of this server, is not set, so an embedded \
                 database is used"
            );
        }
        if self.config.limits.proxy_protocol && self.config.limits.trusted_proxies.is_empty() {
            tracing::warn!(
                "PROXY_PROTOCOL=true means nothing as long as TRUSTED_PROXIES names no proxy that speaks it"
            );
        }
        if self.config.tokens.keys.need_generated_secret() && self.settings.is_empty("JWT_SECRET") {
            tracing::warn!("JWT_SECRET is empty, which counts as unset: the secret in DATA_DIR/jwt_secret is used");
        }
    }
}

/// The variable of a flag.
fn variable(argument: &OsString) -> Option<String> {
    let flag = argument.to_str()?.strip_prefix("--")?;
    let name = flag.split_once('=').map_or(flag, |(name, _)| name);
    Some(name.replace('-', "_").to_ascii_uppercase())
}

/// The format that was asked for, where not all that was asked for can be understood.
fn log_format(arguments: &[OsString], settings: &Settings) -> LogFormat {
    let pairs = arguments.iter().zip(arguments.iter().skip(1));
    let flag = arguments.iter().any(|argument| argument == "--log-format=json")
        || pairs
            .into_iter()
            .any(|(name, value)| name == "--log-format" && value == "json");
    match flag || settings.get("LOG_FORMAT").is_some_and(|value| value == "json") {
        true => LogFormat::Json,
        false => LogFormat::Text,
    }
}
