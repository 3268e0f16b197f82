//! `--print-config` and `--check-config`: what the settings say, and all that is wrong with them, before anything is begun.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use server::config::{Given, LogFormat, Problem};
use server::server::{RunError, check as check_server};
use server::telemetry::{complain, say};
use shared::settings::report::Listed;

use crate::WRONG_SETTING_STATUS;

/// Writes every setting, its value and where it comes from to standard output.
pub(crate) fn print(given: &Given) -> ExitCode {
    let listed = given.list();
    let is_read_by_a_person = given.config.log_format == LogFormat::Text && io::stdout().is_terminal();
    let text = match is_read_by_a_person {
        true => table(&listed),
        false => object(listed),
    };
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads it has had enough, or can't read it.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Lines of columns.
fn table(listed: &[Listed]) -> String {
    let rows: Vec<[&str; 3]> = listed.iter().map(|one| [&*one.name, shown(one), &*one.from]).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (names, values) = (width(0), width(1));
    let line = |[name, value, from]: &[&str; 3]| format!("{name:names$}  {value:values$}  {from}\n");
    rows.iter().map(line).collect()
}

fn shown(setting: &Listed) -> &str {
    match (&setting.value, setting.secret && setting.from != "default") {
        (_, true) => "(secret)",
        (Some(value), false) => value,
        (None, false) => "(not set)",
    }
}

/// An object by the names of the settings.
fn object(listed: Vec<Listed>) -> String {
    let settings: Map<String, Value> = listed
        .into_iter()
        .map(|one| {
            let is_set = one.value.is_some() || one.from != "default";
            let value = match one.secret {
                true => json!({"secret": true, "set": is_set, "from": one.from}),
                false => json!({"value": one.value, "set": is_set, "from": one.from}),
            };
            (one.name, value)
        })
        .collect();
    format!("{:#}\n", Value::from(settings))
}

/// Says all that is wrong: with settings that can't be read, and with those that can, as far as that can be seen without opening a
/// database or listening. The exit status says whether anything is.
pub(crate) async fn check(given: Option<&Given>, mut problems: Vec<Problem>) -> ExitCode {
    if let Some(given) = given {
        let wrong = check_server(&given.config).await;
        problems.extend(wrong.iter().map(|error| problem(given, error)));
    }
    for Problem { text, meaning } in &problems {
        match meaning {
            Some(meaning) => complain(format_args!("{text}\n       It means: {meaning}")),
            None => complain(text),
        }
    }
    match problems.is_empty() {
        true => {
            say("The settings are right");
            ExitCode::SUCCESS
        }
        false => ExitCode::from(WRONG_SETTING_STATUS),
    }
}

fn problem(given: &Given, error: &RunError) -> Problem {
    match error {
        RunError::Setting { name, why } => Problem {
            text: wrong(given, name, why),
            meaning: given.meaning(name),
        },
        other => Problem {
            text: other.to_string(),
            meaning: None,
        },
    }
}

/// What is wrong with a setting, and where it was found.
pub(crate) fn wrong(given: &Given, name: &str, why: &str) -> String {
    match given.file_of(name) {
        Some(origin) => format!("{name} is wrong ({origin}): {why}"),
        None => format!("{name} is wrong: {why}"),
    }
}
