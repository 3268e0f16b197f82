//! What is fuzzed: every decoder of what comes from outside, one function a target.
//!
//! A target takes any bytes and panics if a decoder does, or if what it promises does not hold. `fuzz/` runs them with cargo-fuzz;
//! the test below replays on stable Rust what was found and what was seen in real traffic: `fuzz/corpus/<target>/`. Only tests and
//! the feature `fuzzing` compile this.

pub use crate::auth::fuzzing::{public_keys, tokens};
pub use crate::chat::conversations::fuzzing::cursors;
pub use crate::config::fuzzing::settings;
pub use crate::storage::mongodb::fuzzing::{connection_strings, documents};
pub use crate::transport::http::fuzzing::queries;
pub use crate::transport::socketio::fuzzing::{events, handshakes};
pub use crate::transport::tcp::fuzzing::{forwarded, frames, heads, packets, proxy_header};

/// A target: any bytes are good for it.
pub type Target = fn(&[u8]);

/// All of them, by the names of their programs.
pub const TARGETS: &[(&str, Target)] = &[
    ("connection_strings", connection_strings),
    ("cursors", cursors),
    ("documents", documents),
    ("dotenv", dotenv),
    ("events", events),
    ("forwarded", forwarded),
    ("frames", frames),
    ("handshakes", handshakes),
    ("heads", heads),
    ("packets", packets),
    ("proxy_header", proxy_header),
    ("public_keys", public_keys),
    ("queries", queries),
    ("settings", settings),
    ("tokens", tokens),
];

/// A file `.env`.
pub fn dotenv(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let file = shared::dotenv::DotEnv::parse(&text);
    let lines = text.replace("\r\n", "\n").replace('\r', "\n").matches('\n').count() + 1;
    assert!(file.passed_over().iter().all(|line| (1..=lines).contains(line)));
    for (name, _) in file.iter() {
        assert!(!name.is_empty());
        let (_, line) = file.get(name).expect("it is there");
        assert!((1..=lines).contains(&line), "{line} of {lines}");
    }
    assert!(
        !format!("{file:?}").contains("pAsS-w0rD") || text.matches("pAsS-w0rD").count() != 1 || {
            // Only a name may be said.
            file.iter().any(|(name, _)| name.contains("pAsS-w0rD"))
        }
    );
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// Most bytes of all corpora together: they are for a repository.
    const MOST_BYTES: u64 = 200 * 1024;

    fn folder() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
    }

    fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = folder().join("corpus").join(target);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let read = |path: PathBuf| (path.clone(), fs::read(&path).expect("the file can be read"));
        entries
            .map(|entry| read(entry.expect("the folder can be read").path()))
            .collect()
    }

    #[test]
    fn corpora_are_replayed() {
        let mut bytes = 0;
        for (name, target) in TARGETS {
            let inputs = inputs(name);
            assert!(inputs.len() > 3, "{name}: too few inputs");
            for (path, input) in inputs {
                bytes += input.len() as u64;
                let ended = std::panic::catch_unwind(|| target(&input));
                assert!(ended.is_ok(), "{}", path.display());
            }
            // What no corpus has by itself.
            target(&[]);
        }
        assert!(bytes <= MOST_BYTES, "{bytes} bytes of corpora");
    }

    #[test]
    fn each_target_is_a_program_and_is_listed() {
        let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("it can be read");
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        for name in &names {
            let path = format!("targets/{name}.rs");
            assert!(
                manifest.contains(&format!("name = \"{name}\"\npath = \"{path}\"")),
                "{name}"
            );
            let program = fs::read_to_string(folder().join(path)).expect("it can be read");
            assert!(program.contains(&format!("server::fuzzing::{name}(data)")), "{name}");
        }
        for entry in fs::read_dir(folder().join("corpus")).expect("it can be read") {
            let name = entry.expect("it can be read").file_name();
            assert!(names.iter().any(|known| name == **known), "{name:?} is no target");
        }
    }
}
