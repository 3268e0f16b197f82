//! The pages for developers and their files, which are part of the program: held once for all who ask.
//!
//! What stands in a page and depends on the settings is where things are; it is put there once, at the start.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::body::Bytes;
use axum::http::HeaderValue;

use crate::config::Playground;
use crate::config::paths::Paths;

/// A file of `server/pages`, with its name.
macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_bytes!(concat!("../../pages/", $name)).as_slice())),+]
    };
}

/// What pages load, by the names that they load it by. Of `vendor/` they are, to the letter, files of the packages that
/// `server/tests/js/package-lock.json` pins.
const FILES: &[(&str, &[u8])] = &files![
    "device.js",
    "device_view.js",
    "disk.js",
    "docs.js",
    "docs_events.js",
    "docs_http.js",
    "dom.js",
    "event_log.js",
    "icon.svg",
    "playground.js",
    "schema_view.js",
    "slow_transports.js",
    "style.css",
    "visitor.js",
    "vendor/socket.io.esm.min.js",
];

/// Pages of the same content have the same tag.
#[derive(Debug, Clone)]
pub struct Asset {
    /// What is sent.
    pub content: Bytes,
    /// Its media type.
    pub kind: &'static str,
    /// What names this content, in quotes.
    pub tag: HeaderValue,
}

/// The pages and their files.
pub struct Pages {
    /// What this server is.
    pub home: Asset,
    /// Its events and requests, to be read and tried.
    pub docs: Asset,
    /// Two users, to try it with.
    pub playground: Asset,
    files: BTreeMap<&'static str, Asset>,
}

impl Pages {
    /// The pages of a server whose things are there.
    pub fn new(paths: &Paths, playground: Playground) -> Self {
        let page = |text: &str| {
            let text = without_section(text, "playground", playground != Playground::Off);
            let text = text
                .replace("{{base}}", &escaped(paths.base()))
                .replace("{{socket}}", &escaped(paths.socket()))
                .replace("{{protocol}}", &shared::PROTOCOL_VERSION.to_string());
            Asset::new(text.into(), "text/html; charset=utf-8")
        };
        let file = |(name, content): &(&'static str, &'static [u8])| {
            let content = Bytes::from_static(content);
            // Pages name what they load without its folder.
            (name.rsplit('/').next().unwrap_or(name), Asset::new(content, kind(name)))
        };
        Self {
            home: page(include_str!("../../pages/home.html")),
            docs: page(include_str!("../../pages/docs.html")),
            playground: page(include_str!("../../pages/playground.html")),
            files: FILES.iter().map(file).collect(),
        }
    }

    /// The file of this name, if there is one.
    pub fn file(&self, name: &str) -> Option<&Asset> {
        self.files.get(name)
    }
}

impl Asset {
    fn new(content: Bytes, kind: &'static str) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        Self {
            content,
            kind,
            // Digits in quotes are a value.
            tag: HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\"")),
        }
    }
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
}

/// A text without its parts between `<!--name-->` and `<!--/name-->`, or without these marks.
fn without_section(text: &str, name: &str, keep: bool) -> String {
    let (begin, end) = (format!("<!--{name}-->"), format!("<!--/{name}-->"));
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, section)) = rest.split_once(&begin) {
        let (section, after) = section.split_once(&end).unwrap_or((section, ""));
        kept.push_str(before);
        kept.push_str(if keep { section } else { "" });
        rest = after;
    }
    kept + rest
}

/// A path, as it stands in an attribute.
fn escaped(path: &str) -> String {
    path.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(paths: &Paths, playground: Playground) -> String {
        String::from_utf8(Pages::new(paths, playground).home.content.to_vec()).unwrap()
    }

    #[test]
    fn pages_say_where_things_are() {
        let text = home(&Paths::new("/a&b", None), Playground::Open);
        assert!(text.contains("href=\"/a&amp;b/pages/style.css\""), "{text}");
        assert!(text.contains("href=\"/a&amp;b/playground\"") && !text.contains("{{") && !text.contains("<!--"));
        let text = home(&Paths::new("", None), Playground::Off);
        assert!(
            text.contains("href=\"/pages/style.css\"") && !text.contains("/playground"),
            "{text}"
        );
    }

    #[test]
    fn files_have_names_of_their_own_and_tags_of_their_content() {
        let pages = Pages::new(&Paths::new("", None), Playground::Off);
        assert_eq!(pages.files.len(), FILES.len());
        let tags: std::collections::BTreeSet<_> = pages.files.values().map(|file| file.tag.to_str().unwrap()).collect();
        assert_eq!(tags.len(), FILES.len());
        let client = pages.file("socket.io.esm.min.js").unwrap();
        assert!(client.content.starts_with(b"/*!\n * Socket.IO v") && client.kind.starts_with("text/javascript"));
        assert!(pages.file("vendor/socket.io.esm.min.js").is_none() && pages.file("../pages.rs").is_none());
    }
}
