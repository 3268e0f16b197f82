//! Where both programs find their settings: a flag goes before the environment, the environment before `.env`.
//!
//! A name that is in the environment hides the one in `.env`, also if it is empty there, as with Node.js. An empty value
//! counts as none: the default holds. A secret can stand in a file instead ([`files`]); [`report`] lists all settings, and all
//! that is wrong with them.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::builder::{OsStr, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, Parser};

use crate::dotenv::DotEnv;
use files::FromFile;

pub mod files;
pub mod report;

/// The file, in the working directory.
const FILE: &str = ".env";

/// The environment and `.env`, as they were when this was made.
#[derive(Debug, Default)]
pub struct Settings {
    file: DotEnv,
    /// Those of which an empty value is a value, so that it can be refused.
    never_empty: &'static [&'static str],
    /// Secrets that stand in files.
    from_files: Vec<FromFile>,
    /// What is wrong with such files, by the name without `_FILE`.
    wrong_files: Vec<(&'static str, WrongSetting)>,
}

/// Where a setting was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the environment.
    Environment,
    /// In this line of `.env`, counted from 1.
    Line(usize),
    /// In the file that `NAME_FILE` names.
    File(PathBuf),
}

impl fmt::Display for Origin {
    /// Where that is, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::Line(line) => write!(f, "{FILE}, line {line}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
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
#[derive(Debug, Clone)]
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
            elsewhere => write!(f, "{setting} is wrong ({elsewhere}): {why}"),
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
        Ok(Self {
            file,
            never_empty,
            ..Self::default()
        })
    }

    /// Has each of these settings also stand in the file that its name with `_FILE` names, in the environment, in `.env` or as a flag.
    /// What is wrong with such a file is an error of [`parse`](Self::parse).
    #[must_use]
    pub fn with_files(mut self, names: &[&'static str], arguments: &[OsString]) -> Self {
        for name in names {
            let file = format!("{name}_FILE");
            let by_flag = files::flag(arguments, &file).map(|path| (path, Origin::Environment));
            let Some((path, origin)) = by_flag.or_else(|| self.find(&file)) else {
                continue;
            };
            let wrong = |why| WrongSetting {
                setting: file.clone(),
                origin,
                why,
            };
            let set = self.find(name).is_some() || files::flag(arguments, name).is_some();
            if set {
                let why = format!("{name} is set, too; keep one of the two");
                self.wrong_files.push((name, wrong(why)));
                continue;
            }
            let path = PathBuf::from(path);
            match files::secret_in(&path) {
                Ok(value) => self.from_files.push(FromFile {
                    name,
                    value: value.into(),
                    path,
                }),
                Err(why) => self.wrong_files.push((name, wrong(why))),
            }
        }
        self
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

    /// Where a setting was found, if it was.
    pub fn origin_of(&self, name: &str) -> Option<Origin> {
        Some(self.find(name)?.1)
    }

    fn raw(&self, name: &str) -> Option<(OsString, Origin)> {
        let given = std::env::var_os(name).map(|value| (value, Origin::Environment));
        given.or_else(|| {
            let (value, line) = self.file.get(name)?;
            Some((value.into(), Origin::Line(line)))
        })
    }

    fn find(&self, name: &str) -> Option<(OsString, Origin)> {
        if let Some(found) = self.from_files.iter().find(|found| found.name == name) {
            return Some((found.value.clone(), Origin::File(found.path.clone())));
        }
        self.raw(name)
            .filter(|(value, _)| !value.is_empty() || self.never_empty.contains(&name))
    }

    /// Reads what a program is told, flags included.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`] or [`SettingsError::Flags`].
    pub fn parse<C: Parser>(&self, arguments: &[OsString]) -> Result<C, SettingsError> {
        if let Some((_, wrong)) = self.wrong_files.first() {
            return Err(SettingsError::Wrong(wrong.clone()));
        }
        let read = self
            .command::<C>(&[])
            .try_get_matches_from(arguments)
            .and_then(|mut matches: ArgMatches| C::from_arg_matches_mut(&mut matches));
        read.map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                // With the defaults that are the program's own.
                let help = C::command().try_get_matches_from(arguments);
                SettingsError::Flags(Box::new(help.err().unwrap_or(error)))
            }
            _ => match self.wrong(C::command(), &error) {
                Some((_, wrong)) => SettingsError::Wrong(wrong),
                None => SettingsError::Flags(Box::new(error)),
            },
        })
    }

    /// The command with what was found as its defaults, but for some settings. The environment is not asked a second time, so that
    /// the rules hold.
    fn command<C: Parser>(&self, without: &[String]) -> Command {
        C::command().mut_args(|arg| {
            let name = arg.get_env().and_then(|name| name.to_str().map(str::to_owned));
            let found = name
                .filter(|name| !without.contains(name))
                .and_then(|name| self.get(&name));
            let arg = arg.env(Resettable::Reset);
            match found {
                Some(value) => arg.default_value(OsStr::from(value)),
                None => arg,
            }
        })
    }

    /// The name of the setting that clap found wrong, and what is wrong, if it was none of the flags.
    fn wrong(&self, mut command: Command, error: &clap::Error) -> Option<(String, WrongSetting)> {
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
        let given = value.to_string_lossy();
        let is_of_it = |wrong: &str| match arg.get_value_delimiter() {
            Some(delimiter) => given.split(delimiter).any(|part| part == wrong),
            None => wrong == given,
        };
        if text(ContextKind::InvalidValue).is_some_and(|wrong| !is_of_it(wrong)) {
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
            false => format!("{name}={}", report::shown(&value.to_string_lossy())),
        };
        Some((name.to_owned(), WrongSetting { setting, origin, why }))
    }
}
