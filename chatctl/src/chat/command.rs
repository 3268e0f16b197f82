//! What a typed line means: a message, or one of the commands.

use chatctl_terminal::output::DIM;

use super::OPENING_MESSAGES;

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InputLine {
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

impl InputLine {
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
            ("history", "") => Self::History(OPENING_MESSAGES),
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
        assert_eq!(InputLine::parse("hello "), InputLine::Say("hello".to_owned()));
        assert_eq!(InputLine::parse("  "), InputLine::Nothing);
        assert_eq!(InputLine::parse("//quit"), InputLine::Say("/quit".to_owned()));
        assert_eq!(InputLine::parse("/quit"), InputLine::Quit);
        assert_eq!(InputLine::parse("/history"), InputLine::History(OPENING_MESSAGES));
        assert_eq!(InputLine::parse("/history 5"), InputLine::History(5));
        assert_eq!(
            InputLine::parse("/with  userB"),
            InputLine::With(Some("userB".to_owned()))
        );
        assert_eq!(InputLine::parse("/with"), InputLine::With(None));
        assert!(matches!(InputLine::parse("/history many"), InputLine::Unknown(_)));
        assert!(matches!(InputLine::parse("/dance"), InputLine::Unknown(_)));
        // There is such a command.
        assert_eq!(
            InputLine::parse("/quit now"),
            InputLine::Unknown("/quit stands alone; //quit says it".to_owned())
        );
    }
}
