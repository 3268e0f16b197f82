//! Where both programs find their settings: a flag goes before the environment, the environment before `.env`.
//!
//! A name that is in the environment hides the one in `.env`, also if it is empty there, as with Node.js. An empty value
//! counts as none: the default holds.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use clap::builder::{OsStr, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, Parser};

use crate::dotenv::DotEnv;

/// The file, in the working directory.
const FILE: &str = ".env";

/// The environment and `.env`, as they were when this was made.
#[derive(Debug, Default)]
pub struct Settings {
    file: DotEnv,
    /// Those of which an empty value is a value, so that it can be refused.
    never_empty: &'static [&'static str],
}

/// Where a setting was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Environment,
    /// In this line of `.env`.
    Line(usize),
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// `.env` is there and can't be read.
    #[error("{FILE} can't be read: {0}")]
    File(std::io::Error),
    /// A setting of the environment or of `.env` is wrong.
    #[error("{0}")]
    Wrong(WrongSetting),
    /// A flag is wrong, or help was asked for.
    #[error("{0}")]
    Flags(Box<clap::Error>),
}

/// A wrong setting. Its `Display` says which one, where it was found, and what is right; and never a value that is secret.
#[derive(Debug)]
pub struct WrongSetting {
    /// Its name, with its value unless that is secret.
    setting: String,
    origin: Origin,
    why: String,
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, origin, why } = self;
        match origin {
            Origin::Environment => write!(f, "{setting} is wrong: {why}"),
            Origin::Line(line) => write!(f, "{setting} is wrong ({FILE}, line {line}): {why}"),
        }
    }
}

impl Settings {
    /// Reads `.env` in the working directory, where it is. An empty value of `never_empty` is an error of the program's.
    ///
    /// # Errors
    /// [`SettingsError::File`].
    pub fn read(never_empty: &'static [&'static str]) -> Result<Self, SettingsError> {
        let file = DotEnv::read(Path::new(FILE)).map_err(SettingsError::File)?;
        Ok(Self { file, never_empty })
    }

    /// A setting that is not empty, from the environment or `.env`.
    pub fn get(&self, name: &str) -> Option<OsString> {
        self.find(name).map(|(value, _)| value)
    }

    /// The lines of `.env` that say nothing, counted from 1.
    pub fn passed_over(&self) -> &[usize] {
        self.file.passed_over()
    }

    /// What `.env` says of a setting, whatever the environment says; nothing if that is empty.
    pub fn in_file(&self, name: &str) -> Option<&str> {
        let (value, _) = self.file.get(name)?;
        Some(value).filter(|value| !value.is_empty())
    }

    /// Whether a setting is given without a value, which counts as none.
    pub fn is_empty(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|(value, _)| value.is_empty())
    }

    /// The line of `.env` that gives a setting, counted from 1, unless the environment does.
    pub fn line_of(&self, name: &str) -> Option<usize> {
        match self.find(name)?.1 {
            Origin::Environment => None,
            Origin::Line(line) => Some(line),
        }
    }

    fn raw(&self, name: &str) -> Option<(OsString, Origin)> {
        let given = std::env::var_os(name).map(|value| (value, Origin::Environment));
        given.or_else(|| {
            let (value, line) = self.file.get(name)?;
            Some((value.into(), Origin::Line(line)))
        })
    }

    fn find(&self, name: &str) -> Option<(OsString, Origin)> {
        self.raw(name)
            .filter(|(value, _)| !value.is_empty() || self.never_empty.contains(&name))
    }

    /// Reads what a program is told, flags included.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`] or [`SettingsError::Flags`].
    pub fn parse<C: Parser>(&self, arguments: &[OsString]) -> Result<C, SettingsError> {
        // What was found becomes the default. The environment is not asked a second time, so that the rules hold.
        let command = C::command().mut_args(|arg| {
            let found = arg.get_env().and_then(|name| self.get(name.to_str()?));
            let arg = arg.env(Resettable::Reset);
            match found {
                Some(value) => arg.default_value(OsStr::from(value)),
                None => arg,
            }
        });
        let read = command
            .try_get_matches_from(arguments)
            .and_then(|mut matches: ArgMatches| C::from_arg_matches_mut(&mut matches));
        read.map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                // With the defaults that are the program's own.
                let help = C::command().try_get_matches_from(arguments);
                SettingsError::Flags(Box::new(help.err().unwrap_or(error)))
            }
            _ => match self.wrong(C::command(), &error) {
                Some(wrong) => SettingsError::Wrong(wrong),
                None => SettingsError::Flags(Box::new(error)),
            },
        })
    }

    /// The setting that clap found wrong, if it was none of the flags.
    fn wrong(&self, mut command: Command, error: &clap::Error) -> Option<WrongSetting> {
        // So that its arguments can say what they are called.
        command.build();
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let shown = text(ContextKind::InvalidArg)?;
        let arg = command.get_arguments().find(|arg| arg.to_string() == shown)?;
        let name = arg.get_env()?.to_str()?;
        let (value, origin) = self.find(name)?;
        // Otherwise it is the flag's value that is wrong.
        if text(ContextKind::InvalidValue).is_some_and(|wrong| wrong != value.to_string_lossy()) {
            return None;
        }
        let why = match (error.get(ContextKind::ValidValue), std::error::Error::source(error)) {
            (Some(ContextValue::Strings(allowed)), _) if !allowed.is_empty() => {
                format!("write one of {}", allowed.join(", "))
            }
            (_, Some(source)) => source.to_string(),
            _ => "its value can't be read".to_owned(),
        };
        let setting = match arg.is_hide_env_values_set() || value.is_empty() {
            true => name.to_owned(),
            false => format!("{name}={}", value.to_string_lossy()),
        };
        Some(WrongSetting { setting, origin, why })
    }
}
