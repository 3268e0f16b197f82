//! All settings with their values and where they come from, and all that is wrong with them at once.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, Command, Parser};

use super::Settings;

/// What the PEM of every private key has in its first line: such a value is secret, wherever it was put by mistake.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// A setting as it holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    /// The variable; the flag where there is none.
    pub name: String,
    /// What it says; nothing if it is not set, or secret.
    pub value: Option<String>,
    /// Whether its value is not to be shown.
    pub secret: bool,
    /// Where it comes from: `flag`, `environment`, `.env, line 3`, `file /run/secrets/x` or `default`.
    pub from: String,
}

/// Something that is wrong.
#[derive(Debug)]
pub struct Problem {
    /// What, and what is right.
    pub text: String,
    /// What the setting means, in a line, if it is known which one it is.
    pub meaning: Option<String>,
}

impl Settings {
    /// All settings, as a program is told them; those without a variable only where they are given.
    ///
    /// # Errors
    /// Something is wrong; [`parse`](Self::parse) says what.
    pub fn list<C: Parser>(&self, arguments: &[OsString]) -> Result<Vec<Listed>, clap::Error> {
        let matches = self.command::<C>(&[]).try_get_matches_from(arguments)?;
        let command = C::command();
        let listed = command.get_arguments().filter_map(|arg| {
            let id = arg.get_id().as_str();
            let by_flag = matches.value_source(id) == Some(ValueSource::CommandLine);
            let variable = variable(arg);
            // What the program is asked to do is no setting.
            if variable.is_none() && (!by_flag || id.ends_with("_config")) {
                return None;
            }
            let name = variable.clone().or_else(|| Some(format!("--{}", arg.get_long()?)))?;
            let origin = variable.and_then(|name| self.origin_of(&name));
            let values = matches.get_raw(id).into_iter().flatten();
            let text: Vec<String> = values.map(|value| value.to_string_lossy().into_owned()).collect();
            let secret = arg.is_hide_env_values_set() || text.iter().any(|value| value.contains(PRIVATE_KEY));
            Some(Listed {
                name,
                value: Some(shown(&text.join(","))).filter(|_| !secret && !text.is_empty()),
                secret,
                from: match (by_flag, origin) {
                    (true, _) => "flag".to_owned(),
                    (false, Some(origin)) => origin.to_string(),
                    (false, None) => "default".to_owned(),
                },
            })
        });
        Ok(listed.collect())
    }

    /// All that is wrong with what a program is told, not only the first; and what it is told besides, if that can be read.
    pub fn problems<C: Parser>(&self, arguments: &[OsString]) -> (Vec<Problem>, Option<C>) {
        let mut command = C::command();
        command.build();
        let mut arguments = arguments.to_vec();
        let mut problems: Vec<Problem> = self
            .wrong_files
            .iter()
            .map(|(name, wrong)| Problem {
                text: wrong.to_string(),
                meaning: meaning(&command, |arg| variable(arg).as_deref() == Some(name)),
            })
            .collect();
        let mut without = Vec::new();
        // Each round leaves out what was found wrong in the one before.
        loop {
            let read = self
                .command::<C>(&without)
                .try_get_matches_from(&arguments)
                .and_then(|mut matches| C::from_arg_matches_mut(&mut matches));
            let error = match read {
                Ok(rest) => return (problems, Some(rest)),
                Err(error) => error,
            };
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
                return (problems, None);
            }
            if let Some((name, wrong)) = self.wrong(C::command(), &error)
                && !without.contains(&name)
            {
                problems.push(Problem {
                    text: wrong.to_string(),
                    meaning: meaning(&command, |arg| variable(arg).as_ref() == Some(&name)),
                });
                without.push(name);
                continue;
            }
            let shown = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::String(shown)) => shown.clone(),
                _ => String::new(),
            };
            let text = error.to_string();
            let text = text.trim_start_matches("error: ");
            problems.push(Problem {
                text: text.split("\n\n").next().unwrap_or(text).to_owned(),
                meaning: meaning(&command, |arg| arg.to_string() == shown),
            });
            if !remove(&mut arguments, &shown) {
                return (problems, None);
            }
        }
    }
}

impl Settings {
    /// What a setting of a program means, in a line.
    pub fn meaning<C: Parser>(name: &str) -> Option<String> {
        meaning(&C::command(), |arg| variable(arg).as_deref() == Some(name))
    }
}

/// The first line of the help of an argument.
fn meaning(command: &Command, is_it: impl Fn(&Arg) -> bool) -> Option<String> {
    let arg = command.get_arguments().find(|arg| is_it(arg))?;
    Some(arg.get_help()?.to_string())
}

fn variable(arg: &Arg) -> Option<String> {
    arg.get_env()?.to_str().map(str::to_owned)
}

/// A value as it may be shown: without the name and the password in a URL, and without what follows its path.
pub(super) fn shown(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    let (place, query) = rest.split_once('?').map_or((rest, ""), |(place, _)| (place, "?…"));
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let host = host
        .rsplit_once('@')
        .map_or(host.to_owned(), |(_, host)| format!("…@{host}"));
    format!("{scheme}://{host}{path}{query}")
}

/// Takes out a flag, with its value if it has one: `shown` is as clap names it, `--port <PORT>`.
fn remove(arguments: &mut Vec<OsString>, shown: &str) -> bool {
    let (flag, takes_value) = match shown.split_once([' ', '=']) {
        Some((flag, _)) => (flag, true),
        None => (shown, false),
    };
    let is_it = |argument: &OsString| {
        let rest = argument.to_str().and_then(|text| text.strip_prefix(flag));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    // The first one is the program.
    let Some(index) = arguments.iter().skip(1).position(is_it) else {
        return false;
    };
    let whole = arguments.remove(index + 1) == flag;
    let is_value = |next: &OsString| !next.to_string_lossy().starts_with("--");
    if whole && takes_value && arguments.get(index + 1).is_some_and(is_value) {
        arguments.remove(index + 1);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program.
    #[derive(Debug, Parser)]
    struct Program {
        /// Where it listens
        #[arg(long, env = "PORT_OF_A_TEST", default_value_t = 5000)]
        port: u16,
        /// How many
        #[arg(long, env = "COUNT_OF_A_TEST", default_value_t = 1)]
        count: u8,
        /// What nobody may see
        #[arg(long, env = "SECRET_OF_A_TEST", hide_env_values = true)]
        secret: Option<String>,
        /// Where something else is
        #[arg(long, env = "PLACE_OF_A_TEST")]
        place: Option<String>,
    }

    fn arguments(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn all_that_is_wrong_is_found_with_what_it_means() {
        let settings = Settings::default();
        let (found, rest) = settings.problems::<Program>(&arguments("program --port many --wrong --count=300"));
        assert_eq!(rest.map(|rest| (rest.port, rest.count)), Some((5000, 1)));
        let texts: Vec<&str> = found.iter().map(|problem| &*problem.text).collect();
        assert_eq!(found.len(), 3, "{texts:?}");
        for (flag, meaning) in [("--port", "Where it listens"), ("--count", "How many")] {
            let problem = found.iter().find(|problem| problem.text.contains(flag)).expect(flag);
            assert_eq!(problem.meaning.as_deref(), Some(meaning));
        }
        assert!(texts.iter().any(|text| text.contains("--wrong")), "{texts:?}");
        assert!(
            settings
                .problems::<Program>(&arguments("program --port 1"))
                .0
                .is_empty()
        );
    }

    #[test]
    fn settings_are_listed_without_secrets() {
        let settings = Settings::default();
        let listed = settings.list::<Program>(&arguments("program --secret hush --count 2"));
        let listed = listed.expect("it is right");
        let of = |name: &str| listed.iter().find(|one| one.name.starts_with(name)).expect(name);
        assert_eq!(
            (of("PORT").value.as_deref(), &*of("PORT").from),
            (Some("5000"), "default")
        );
        assert_eq!((of("COUNT").value.as_deref(), &*of("COUNT").from), (Some("2"), "flag"));
        assert_eq!((of("SECRET").value.as_deref(), of("SECRET").secret), (None, true));
        assert!(!format!("{listed:?}").contains("hush"));
        let _ = Program::parse_from(arguments("program")).secret;
    }

    #[test]
    fn secrets_are_not_shown_where_they_were_put_by_mistake() {
        let settings = Settings::default();
        let pem = "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----";
        for (text, expected) in [
            (pem, None),
            (
                "https://u:hush@h:1/keys.json?key=hush#hush",
                Some("https://…@h:1/keys.json?…"),
            ),
            ("https://u:hu@sh@h", Some("https://…@h")),
            ("https://h/a@b", Some("https://h/a@b")),
            ("/etc/keys?.json", Some("/etc/keys?.json")),
        ] {
            let arguments = ["program".to_owned(), format!("--place={text}")].map(OsString::from);
            let listed = settings.list::<Program>(&arguments).expect("it is right");
            let place = listed
                .iter()
                .find(|one| one.name.starts_with("PLACE"))
                .expect("it is listed");
            assert_eq!(
                (place.value.as_deref(), place.secret),
                (expected, expected.is_none()),
                "{text}"
            );
        }
        let _ = Program::parse_from(arguments("program")).place;
    }
}
