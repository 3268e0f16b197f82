//! What a typed line means: a message, or one of the commands.

use chatctl_terminal::output::DIM;

use super::OPENING;

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Nothing.
    Nothing,
    /// A message.
    Say(String),
    /// `/help`
    Help,
    /// `/history`, of so many messages.
    History(usize),
    /// `/with`, and whom, if that was said.
    With(Option<String>),
    /// `/quit`
    Quit,
    /// None of these; the text says what is possible.
    Unknown(String),
}

impl Line {
    /// Reads a typed line.
    pub(crate) fn parse(line: &str) -> Self {
        let text = line.trim_end();
        let Some(command) = text.strip_prefix('/') else {
            return if text.is_empty() {
                Self::Nothing
            } else {
                Self::Say(text.to_owned())
            };
        };
        if command.starts_with('/') {
            return Self::Say(command.to_owned());
        }
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        match (name, rest.trim()) {
            ("help", "") => Self::Help,
            ("quit", "") => Self::Quit,
            ("with", "") => Self::With(None),
            ("with", name) => Self::With(Some(name.to_owned())),
            ("history", "") => Self::History(OPENING),
            ("history", count) => match count.parse() {
                Ok(count @ 1..=10_000) => Self::History(count),
                _ => Self::Unknown("/history takes a number from 1 to 10000".to_owned()),
            },
            ("help" | "quit", _) => Self::Unknown(format!("/{name} stands alone; //{name} says it")),
            _ => Self::Unknown(format!(
                "there is no command /{name}: /help shows them, //{name} says it"
            )),
        }
    }
}

/// The commands, explained.
pub(crate) fn help() -> String {
    let commands = [
        ("/history [N]", "show the last N messages (20)"),
        ("/with [NAME]", "talk to somebody else"),
        ("/help", "show this"),
        ("/quit", "leave (also Ctrl-D)"),
        ("//text", "send a text that begins with /"),
        ("Up, Down", "what you sent before"),
    ];
    let line = |(command, does)| format!("  {command:14}{DIM}{does}{DIM:#}");
    commands.map(line).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_commands() {
        assert_eq!(Line::parse("hello "), Line::Say("hello".to_owned()));
        assert_eq!(Line::parse("  "), Line::Nothing);
        assert_eq!(Line::parse("//quit"), Line::Say("/quit".to_owned()));
        assert_eq!(Line::parse("/quit"), Line::Quit);
        assert_eq!(Line::parse("/history"), Line::History(OPENING));
        assert_eq!(Line::parse("/history 5"), Line::History(5));
        assert_eq!(Line::parse("/with  userB"), Line::With(Some("userB".to_owned())));
        assert_eq!(Line::parse("/with"), Line::With(None));
        assert!(matches!(Line::parse("/history many"), Line::Unknown(_)));
        assert!(matches!(Line::parse("/dance"), Line::Unknown(_)));
        // There is such a command.
        assert_eq!(
            Line::parse("/quit now"),
            Line::Unknown("/quit stands alone; //quit says it".to_owned())
        );
    }
}
