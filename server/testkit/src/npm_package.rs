//! The client of `shared/js`: built from its sources, packed, and installed into a project of its own, as an app does it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::node;

/// What the package is made of, beside `src` and `scripts`.
const FILES: [&str; 6] = [
    "package.json",
    "package-lock.json",
    ".npmrc",
    "tsconfig.json",
    "LICENSE",
    "README.md",
];

/// The sources.
pub fn sources() -> PathBuf {
    crate::workspace().join("shared/js")
}

/// The folder with the tools that build and check the package: `node_modules` of its lock file.
pub fn tools() -> &'static Path {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| node::install(&sources(), "chat-client-tools"))
}

/// A copy of the sources with what is built from them in `dist`, and the packed file. Made anew whenever a source changes.
pub fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let sources = sources();
        let mut files: Vec<PathBuf> = FILES.iter().map(|file| sources.join(file)).collect();
        for folder in ["src", "scripts"] {
            let entries = fs::read_dir(sources.join(folder)).expect("it is a folder");
            files.extend(entries.map(|entry| entry.expect("it can be listed").path()));
        }
        files.sort();
        node::once("chat-client", &files, |folder| {
            for file in &files {
                let target = folder.join(file.strip_prefix(&sources).expect("it is one of the sources"));
                fs::create_dir_all(target.parent().expect("it is in a folder")).expect("the tools folder is writable");
                fs::copy(file, target).expect("the tools folder is writable");
            }
            let modules = folder.join("node_modules");
            let _ = fs::remove_file(&modules);
            symlink(tools().join("node_modules"), modules).expect("the tools folder is writable");
            node::npm(folder, &["run", "build"]);
            node::npm(folder, &["pack", "--ignore-scripts"]);
        })
    })
}

/// The packed file.
pub fn packed() -> PathBuf {
    let entries = fs::read_dir(built()).expect("it is a folder");
    let mut files = entries.map(|entry| entry.expect("it can be listed").path());
    files
        .find(|file| file.extension().is_some_and(|extension| extension == "tgz"))
        .expect("`npm pack` made a file")
}

/// A project that was empty before the packed file was installed into it, and nothing else.
pub fn project() -> &'static Path {
    static PROJECT: OnceLock<PathBuf> = OnceLock::new();
    PROJECT.get_or_init(|| {
        let packed = packed();
        node::once("chat-client-project", std::slice::from_ref(&packed), |folder| {
            let _ = fs::remove_dir_all(folder.join("node_modules"));
            fs::write(folder.join("package.json"), r#"{"private":true}"#).expect("the tools folder is writable");
            let packed = packed.to_str().expect("its path is UTF-8");
            node::npm(
                folder,
                &["install", "--ignore-scripts", "--no-audit", "--no-fund", packed],
            );
        })
    })
}

/// Where a script finds the installed package, and the tools beside it.
pub fn modules() -> PathBuf {
    let (installed, tools) = (project().join("node_modules"), tools().join("node_modules"));
    let paths = std::env::join_paths([installed, tools]).expect("no colon is in the paths");
    PathBuf::from(paths)
}

/// Runs a module of the tools with Node.js, in a folder.
pub fn tool(folder: &Path, module: &str, arguments: &[&str]) -> Output {
    Command::new(node::program("NODE", "node"))
        .arg(tools().join("node_modules").join(module))
        .args(arguments)
        .current_dir(folder)
        .env_remove("NODE_OPTIONS")
        .output()
        .expect("Node.js can be started")
}
