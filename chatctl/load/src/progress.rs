//! What is shown on the terminal while something runs; nothing where standard error is none.

use std::fmt::Display;
use std::time::Duration;

use chatctl_client::http::Http;
use chatctl_terminal::output::notify_database_away;
use indicatif::{ProgressBar, ProgressStyle};

/// A line that changes.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Begins with a text.
    pub fn begin(text: impl Display) -> Self {
        let style = ProgressStyle::with_template("{spinner} {elapsed:>4}  {msg}").expect("the template is sound");
        let bar = ProgressBar::new_spinner()
            .with_style(style)
            .with_message(text.to_string());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Makes `http` tell here, above the line, if the server's database keeps a request waiting.
    pub fn under(&self, http: &Http) -> Http {
        let bar = self.0.clone();
        http.clone()
            .with_notice_above(move || bar.suspend(notify_database_away))
    }

    /// Whether somebody sees it.
    pub fn is_visible(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Shows another text.
    pub fn show(&self, text: impl Display) {
        if self.is_visible() {
            self.0.set_message(text.to_string());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
