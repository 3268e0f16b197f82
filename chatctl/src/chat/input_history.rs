//! What was sent before, brought back with the arrow keys.

/// What was sent before.
#[derive(Debug, Default)]
pub(crate) struct InputHistory {
    lines: Vec<String>,
    at: usize,
    unsent: String,
}

impl InputHistory {
    /// Adds what was sent.
    pub(crate) fn push(&mut self, line: &str) {
        if self.lines.last().is_none_or(|last| last != line) {
            self.lines.push(line.to_owned());
        }
        self.at = self.lines.len();
        self.unsent.clear();
    }

    /// One further back; `line` is what stands in the line now.
    pub(crate) fn up(&mut self, line: &str) -> Option<&str> {
        if self.at == self.lines.len() {
            line.clone_into(&mut self.unsent);
        }
        self.at = self.at.checked_sub(1)?;
        Some(&self.lines[self.at])
    }

    /// One further on, at last what was not sent.
    pub(crate) fn down(&mut self) -> Option<&str> {
        if self.at >= self.lines.len() {
            return None;
        }
        self.at += 1;
        Some(self.lines.get(self.at).unwrap_or(&self.unsent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recalls_what_was_sent_and_keeps_what_was_not() {
        let mut input_history = InputHistory::default();
        assert_eq!(input_history.up("unsent"), None);
        input_history.push("one");
        input_history.push("two");
        input_history.push("two");
        assert_eq!(input_history.up("unsent"), Some("two"));
        assert_eq!(input_history.up("two"), Some("one"));
        assert_eq!(input_history.up("one"), None);
        assert_eq!(input_history.down(), Some("two"));
        assert_eq!(input_history.down(), Some("unsent"));
        assert_eq!(input_history.down(), None);
    }
}
