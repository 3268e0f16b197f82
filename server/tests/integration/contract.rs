//! The documents of `shared/contract`, read and used by tools that know nothing of this project.

mod collection;
mod documents;
mod schemathesis;

use std::path::PathBuf;

/// A file of `shared/contract`.
fn file(name: &str) -> PathBuf {
    testkit::workspace().join("shared/contract").join(name)
}
