//! What a Rust file imports, read from its text: `use` lines, and paths that begin with `crate` or `super` in its code.

use std::collections::BTreeMap;

/// A path, name by name.
pub(crate) type Names = Vec<String>;

/// What was read in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Source {
    /// Every path that may lead to another file.
    pub(crate) paths: Vec<Names>,
    /// What it exports under which name, from where.
    pub(crate) exports: BTreeMap<String, Names>,
    /// The files that it declares as its modules.
    pub(crate) children: Vec<String>,
}

/// The module of a file, by its path below `src`; none for tests and for the roots of crates.
pub(crate) fn module_of(path: &str) -> Option<String> {
    let names: Vec<&str> = path.strip_suffix(".rs")?.split('/').collect();
    let is_root = matches!(names[..], ["lib" | "main" | "greeting" | "inspect"]);
    (!is_root && !names.contains(&"tests")).then(|| names.join("::"))
}

impl Source {
    pub(crate) fn parse(text: &str) -> Self {
        let tokens = without_tests(tokens(text));
        let mut source = Self::default();
        // Other names of `crate` and `super`.
        let mut aliases: BTreeMap<String, Names> = BTreeMap::new();
        // How many braces are open, and were where each module began that is written out here.
        let (mut depth, mut inline) = (0_usize, Vec::new());
        let mut at = 0;
        while at < tokens.len() {
            match &*tokens[at] {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    inline.pop_if(|began| *began == depth);
                }
                "use" => {
                    let end = find(&tokens, at, ";");
                    let is_exported = is_public(&tokens[..at]);
                    for (name, path) in tree(&tokens[at + 1..end]) {
                        let path = from_file(&aliases, path, inline.len());
                        if path.iter().all(|part| part == "crate" || part == "super") {
                            aliases.insert(name.clone(), path.clone());
                        }
                        if is_exported {
                            source.exports.insert(name, path.clone());
                        }
                        source.paths.push(path);
                    }
                    at = end;
                }
                "mod" if tokens.get(at + 2).is_some_and(|next| next == ";") => {
                    source.children.push(tokens[at + 1].clone());
                }
                "mod" if tokens.get(at + 2).is_some_and(|next| next == "{") => inline.push(depth),
                name if (["crate", "super"].contains(&name) || aliases.contains_key(name))
                    && tokens.get(at + 1).is_some_and(|next| next == "::") =>
                {
                    let mut path = vec![tokens[at].clone()];
                    while tokens.get(at + 1).is_some_and(|next| next == "::") && at + 2 < tokens.len() {
                        path.push(tokens[at + 2].clone());
                        at += 2;
                    }
                    source.paths.push(from_file(&aliases, path, inline.len()));
                }
                _ => {}
            }
            at += 1;
        }
        source
    }
}

/// A path as the file itself would write it, that stands so many modules deep in it.
fn from_file(aliases: &BTreeMap<String, Names>, mut path: Names, level: usize) -> Names {
    if let Some(meant) = path.first().and_then(|first| aliases.get(first)) {
        path = [meant, &path[1..]].concat();
        return path;
    }
    let ups = path.iter().take_while(|name| *name == "super").count();
    let inside = ups.min(level);
    path.drain(..inside);
    if inside > 0 && inside == ups {
        path.insert(0, "self".to_owned());
    }
    path
}

/// Whether `pub` or `pub(…)` ends here.
fn is_public(before: &[String]) -> bool {
    match before {
        [.., last] if last == "pub" => true,
        [.., public, open, _, close] => public == "pub" && open == "(" && close == ")",
        _ => false,
    }
}

fn find(tokens: &[String], from: usize, wanted: &str) -> usize {
    let found = tokens[from..].iter().position(|token| token == wanted);
    found.map_or(tokens.len(), |found| from + found)
}

/// The paths of a `use` line, each with the name that it brings.
fn tree(tokens: &[String]) -> Vec<(String, Names)> {
    let (mut found, mut prefixes, mut path) = (Vec::new(), Vec::new(), Names::new());
    let mut renamed = None;
    let mut at = 0;
    let mut push = |path: &mut Names, renamed: &mut Option<String>| {
        // `{self}` means what stands before the brace.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if let Some(last) = path.last() {
            found.push((renamed.take().unwrap_or_else(|| last.clone()), path.clone()));
        }
    };
    while at < tokens.len() {
        match &*tokens[at] {
            "::" => {}
            "{" => prefixes.push(path.clone()),
            "}" => {
                if tokens[at - 1] != "}" && tokens[at - 1] != "," {
                    push(&mut path, &mut renamed);
                }
                path = prefixes.pop().unwrap_or_default();
            }
            "," => {
                if tokens[at - 1] != "}" {
                    push(&mut path, &mut renamed);
                }
                path = prefixes.last().cloned().unwrap_or_default();
            }
            "as" => {
                renamed = tokens.get(at + 1).cloned();
                at += 1;
            }
            name => path.push(name.to_owned()),
        }
        at += 1;
    }
    if tokens.last().is_some_and(|last| last != "}") {
        push(&mut path, &mut renamed);
    }
    found
}

/// Names, `::` and single signs; without comments, and without what texts hold.
fn tokens(text: &str) -> Vec<String> {
    let signs: Vec<char> = text.chars().collect();
    let starts = |at: usize, what: &str| {
        what.chars()
            .enumerate()
            .all(|(n, sign)| signs.get(at + n) == Some(&sign))
    };
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < signs.len() {
        let sign = signs[at];
        if starts(at, "//") {
            at = after(&signs, at, "\n");
        } else if starts(at, "/*") {
            at = after(&signs, at + 2, "*/");
        } else if sign == 'r' && (starts(at, "r\"") || starts(at, "r#\"")) {
            let end = if starts(at, "r\"") { "\"" } else { "\"#" };
            at = after(&signs, after(&signs, at, "\""), end);
        } else if sign == '"' {
            at += 1;
            while at < signs.len() && signs[at] != '"' {
                at += if signs[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if sign == '\'' && (signs.get(at + 1) == Some(&'\\') || signs.get(at + 2) == Some(&'\'')) {
            // A character; anything else of this kind is a lifetime.
            at = match signs[at + 1] {
                '\\' => after(&signs, at + 3, "'"),
                _ => at + 3,
            };
        } else if starts(at, "::") {
            tokens.push("::".to_owned());
            at += 2;
        } else if sign.is_alphanumeric() || sign == '_' {
            let length = signs[at..]
                .iter()
                .take_while(|sign| sign.is_alphanumeric() || **sign == '_')
                .count();
            tokens.push(signs[at..at + length].iter().collect());
            at += length;
        } else {
            if !sign.is_whitespace() {
                tokens.push(sign.to_string());
            }
            at += 1;
        }
    }
    tokens
}

/// Where the text goes on after the next occurrence of this.
fn after(signs: &[char], from: usize, what: &str) -> usize {
    let what: Vec<char> = what.chars().collect();
    let rest = signs.get(from..).unwrap_or_default();
    let found = rest.windows(what.len().max(1)).position(|part| part.starts_with(&what));
    found.map_or(signs.len(), |found| from + found + what.len())
}

/// Whether a field begins here: `pub(crate) name:`, without what makes an item.
fn is_field(tokens: &[String]) -> bool {
    let visibility = match tokens {
        [public, open, _, close, ..] if public == "pub" && open == "(" && close == ")" => 4,
        [public, ..] if public == "pub" => 1,
        _ => 0,
    };
    tokens.get(visibility + 1).is_some_and(|sign| sign == ":")
}

/// Leaves out what is compiled for tests only: it may use everything.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let is_marked =
            tokens[at..].len() >= MARK.len() && tokens[at..].iter().zip(MARK).all(|(token, mark)| token == mark);
        if !is_marked {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += MARK.len();
        // A field ends with a comma, or where what it is a part of ends.
        let is_field = is_field(&tokens[at..]);
        let mut depth = 0;
        while at < tokens.len() {
            match &*tokens[at] {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" if depth == 0 => break,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 && (tokens[at - 1] == "," && is_field || matches!(&*tokens[at - 1], ";" | "}")) {
                break;
            }
        }
    }
    kept
}
