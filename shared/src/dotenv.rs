//! The file `.env`, read exactly as the package `dotenv` 17 of Node.js reads it.
//!
//! An operator who comes from the Node.js program brings its file along, and a secret that is read in another way signs other
//! tokens. So these are that package's own expressions, run by an engine that means by them what JavaScript means.
//! Nothing is refused: what is no `NAME=value` is passed over. Values hold secrets, so nothing here repeats them.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use regress::Regex;

/// One assignment.
const LINE: &str = r#"(?:^|^)\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?(?:$|$)"#;

/// A value in quotes.
const QUOTED: &str = r#"^(['"`])([\s\S]*)\1$"#;

static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| expression(LINE));
static IN_QUOTES: LazyLock<Regex> = LazyLock::new(|| expression(QUOTED));

fn expression(pattern: &str) -> Regex {
    Regex::with_flags(pattern, "m").expect("the tests compile it")
}

/// What the file says.
#[derive(Default)]
pub struct DotEnv {
    entries: Vec<Entry>,
    passed_over: Vec<usize>,
}

/// One name with its value.
struct Entry {
    name: String,
    value: String,
    line: usize,
}

impl DotEnv {
    /// Reads a file. One that is not there says nothing.
    ///
    /// # Errors
    /// The file is there and can't be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => Ok(Self::parse(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Self {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
        let mut taken = vec![false; line_of(text.len())];
        let mut entries = Vec::new();
        for found in ASSIGNMENT.find_iter(&text) {
            let Some(name) = found.group(1) else { continue };
            let value = found.group(2).map_or("", |value| &text[value]);
            let line = line_of(name.start);
            // Space after the value can be the beginning of further lines, which are empty then.
            taken[line - 1..line_of(found.end())].fill(true);
            entries.push(Entry {
                name: text[name].to_owned(),
                value: unquoted(value),
                line,
            });
        }
        let is_passed_over = |line: &str| !line.is_empty() && !line.starts_with('#');
        let passed_over = text
            .split('\n')
            .zip(taken)
            .enumerate()
            .filter(|(_, (line, taken))| !taken && is_passed_over(trimmed(line)))
            .map(|(index, _)| index + 1)
            .collect();
        Self { entries, passed_over }
    }

    /// The value of a name, and the line that gives it: the last one that names it.
    pub fn get(&self, name: &str) -> Option<(&str, usize)> {
        let entry = self.entries.iter().rfind(|entry| entry.name == name)?;
        Some((&entry.value, entry.line))
    }

    /// All names with their values; of a name that is given twice, the last value is the one that counts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.value.as_str()))
    }

    /// The lines, counted from 1, that are neither `NAME=value` nor a comment.
    pub fn passed_over(&self) -> &[usize] {
        &self.passed_over
    }
}

impl fmt::Debug for DotEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.entries.iter().map(|entry| &entry.name);
        f.debug_set().entries(names).finish()
    }
}

/// A value without what surrounds it. Only double quotes have escapes, and only these two.
fn unquoted(value: &str) -> String {
    let value = trimmed(value);
    let bare = IN_QUOTES.replace_all(value, "$2");
    match value.starts_with('"') {
        true => bare.replace(r"\n", "\n").replace(r"\r", "\r"),
        false => bare,
    }
}

/// A text without the space around it, by what is space in JavaScript.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|letter: char| letter == '\u{feff}' || (letter.is_whitespace() && letter != '\u{85}'))
}
