//! Imports of the server run down and never round: each module knows only those below it, and no files import each other in
//! a circle. In the crates of `chatctl` nothing runs round, either.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::source::{Source, module_of};

/// The modules of the server, the highest first: each imports only from those after it.
const ORDER: &[&str] = &[
    "contract",
    "fuzzing",
    "server",
    "routes",
    "transport",
    "error",
    "chat",
    "auth",
    "delivery",
    "storage",
    "domain",
    "signals",
    "supervisor",
    "telemetry",
    "outage",
    "rates",
    "config",
    "message_trace",
    "metrics",
    "clock",
    "failpoints",
];

/// Modules whose files still import each other in circles. To be emptied.
const LEFTOVERS: &[&str] = &[];

/// The files of a crate: the module path of each, and what it imports.
struct Tree(BTreeMap<String, Source>);

impl Tree {
    fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files = files.into_iter();
        Self(
            files
                .filter_map(|(path, text)| Some((module_of(path)?, Source::parse(text))))
                .collect(),
        )
    }

    /// The file that defines what a path from a file leads to, if it is one of the tree.
    fn definition(&self, from: &str, path: &[String]) -> Option<String> {
        let mut path = self.absolute(from, path)?;
        // A re-export leads on; more of them than this are a circle of their own.
        for _ in 0..10 {
            let (file, rest) = self.file_of(&path)?;
            let exported = rest.first().and_then(|name| self.0[&file].exports.get(name));
            let Some(exported) = exported.and_then(|exported| self.absolute(&file, exported)) else {
                return Some(file);
            };
            path = [exported, rest[1..].to_vec()].concat();
        }
        None
    }

    /// A path from the root of the crate, if it is a path of this crate.
    fn absolute(&self, from: &str, path: &[String]) -> Option<Vec<String>> {
        let here = || from.split("::").filter(|name| !name.is_empty()).map(str::to_owned);
        let first = path.first()?.as_str();
        let ups = path.iter().take_while(|name| *name == "super").count();
        Some(match first {
            "crate" => path[1..].to_vec(),
            "self" => here().chain(path[1..].iter().cloned()).collect(),
            "super" => {
                let base: Vec<String> = here().collect();
                let kept = base.len().checked_sub(ups)?;
                [&base[..kept], &path[ups..]].concat()
            }
            child => {
                let base: Vec<String> = here().chain([child.to_owned()]).collect();
                self.0.contains_key(&base.join("::")).then_some(base)?;
                here().chain(path.iter().cloned()).collect()
            }
        })
    }

    /// The file that a path begins with, and the rest of the path.
    fn file_of(&self, path: &[String]) -> Option<(String, Vec<String>)> {
        (1..=path.len()).rev().find_map(|length| {
            let file = path[..length].join("::");
            self.0.contains_key(&file).then(|| (file, path[length..].to_vec()))
        })
    }

    /// Which files each file imports from. What a file itself defines is free for those below it in the tree of modules.
    fn imports(&self) -> BTreeMap<&str, BTreeSet<String>> {
        let of = |file: &str, source: &Source| -> BTreeSet<String> {
            let imported = source.paths.iter().filter_map(|path| self.definition(file, path));
            let children = source.children.iter().map(|child| match file {
                "" => child.clone(),
                _ => format!("{file}::{child}"),
            });
            let children = children.filter(|child| self.0.contains_key(child));
            let is_free = |other: &String| file == other || file.starts_with(&format!("{other}::"));
            imported.chain(children).filter(|other| !is_free(other)).collect()
        };
        self.0
            .iter()
            .map(|(file, source)| (&**file, of(file, source)))
            .collect()
    }
}

fn top(file: &str) -> &str {
    file.split("::").next().unwrap_or_default()
}

/// What is wrong with the imports of a tree.
fn faults<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>, order: &[&str], leftovers: &[&str]) -> Vec<String> {
    let tree = Tree::new(files);
    let imports = tree.imports();
    let mut faults = Vec::new();
    for (file, others) in &imports {
        let place = |file: &str| order.iter().position(|name| *name == top(file));
        let Some(here) = place(file) else {
            faults.push(format!("{file}: its module has no place in the order"));
            continue;
        };
        for other in others {
            if place(other).is_some_and(|there| there < here) {
                faults.push(format!("{file} imports from {other}, which is above it"));
            }
        }
    }
    let is_left = |file: &str| {
        leftovers
            .iter()
            .any(|left| file == *left || file.starts_with(&format!("{left}::")))
    };
    for circle in circles(&imports) {
        if !circle.iter().all(|file| is_left(file)) {
            faults.push(format!(
                "these files import each other in a circle: {}",
                circle.join(", ")
            ));
        }
    }
    faults
}

/// Groups of files each of which leads to each other one.
fn circles(imports: &BTreeMap<&str, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach = |from: &str| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(file) = next.pop() {
            for other in imports.get(&*file).into_iter().flatten() {
                if reached.insert(other.clone()) {
                    next.push(other.clone());
                }
            }
        }
        reached
    };
    let reached: BTreeMap<&str, BTreeSet<String>> = imports.keys().map(|file| (*file, reach(file))).collect();
    let mut circles: Vec<Vec<String>> = Vec::new();
    for (file, others) in &reached {
        if !others.contains(*file) || circles.iter().flatten().any(|known| known == file) {
            continue;
        }
        let back = |other: &&String| reached.get(&***other).is_some_and(|reached| reached.contains(*file));
        circles.push(others.iter().filter(back).cloned().collect());
    }
    circles
}

/// Every Rust file below a folder, with its path from there.
fn files_below(folder: &Path, root: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            files_below(&path, root, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(root)
                .expect("it lies below")
                .to_string_lossy()
                .into_owned();
            found.push((name, fs::read_to_string(&path).expect("the file can be read")));
        }
    }
}

#[test]
fn imports_of_the_server_run_down() {
    let root = testkit::workspace().join("server/src");
    let mut files = Vec::new();
    files_below(&root, &root, &mut files);
    let files = files.iter().map(|(path, text)| (&**path, &**text));
    let faults = faults(files, ORDER, LEFTOVERS);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The cargo manifests keep the crates of `chatctl` in their order; inside of one, files may know each other in any order but round.
#[test]
fn no_files_of_chatctl_import_each_other_in_a_circle() {
    for name in ["", "bench/", "client/", "load/", "prove/", "terminal/"] {
        let root = testkit::workspace().join(format!("chatctl/{name}src"));
        let mut files = Vec::new();
        files_below(&root, &root, &mut files);
        let tree = Tree::new(files.iter().map(|(path, text)| (&**path, &**text)));
        assert!(!tree.0.is_empty(), "{} has no files", root.display());
        let circles = circles(&tree.imports());
        assert!(circles.is_empty(), "{}: {circles:?}", root.display());
    }
}

#[test]
fn an_import_upwards_is_found() {
    let found = |text| faults([("high.rs", ""), ("low.rs", text)], &["high", "low"], &[]);
    let fault = ["low imports from high, which is above it"];
    for text in [
        "use crate::high::Thing;",
        "use crate::{low::Own, high::{self, Thing}};",
        "pub(crate) use crate::high::Thing;",
        "fn f() { crate::high::thing() }",
        "fn f() { let s = \"http://a\"; crate::high::thing() }",
        "fn f() { let c = '\"'; crate::high::thing(); let d = '\"'; }",
        "impl<'a> A<'a> { fn f() { super::high::thing() } }",
        "mod inner { fn f() { super::super::high::thing() } }",
        "mod inner { mod more { use super::super::super::high::Thing; } }",
        "struct A { #[cfg(test)] a: u8, b: crate::high::Thing }",
        "struct A { #[cfg(test)] a: [u8; 2] } struct B(crate::high::Thing);",
        "use crate as root; fn f() { root::high::thing() }",
    ] {
        assert_eq!(found(text), fault, "{text}");
    }
    for text in [
        "// crate::high::Thing",
        "/* use crate::high::Thing; */",
        "const A: &str = \"crate::high::Thing\";",
        "const A: &str = r#\"crate::high::\"Thing\"#;",
        "#[cfg(test)] mod tests { use crate::high::Thing; fn f() {} }",
        "use std::collections::BTreeMap; use high::Thing;",
        "mod inner { use super::high::Thing; } mod high { pub struct Thing; }",
        "struct A { #[cfg(test)] a: crate::high::Thing, b: u8 }",
        "#[cfg(test)] fn f(a: u8, b: crate::high::Thing) { crate::high::thing() }",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
    let unknown = faults([("other.rs", "")], &["high"], &[]);
    assert_eq!(unknown, ["other: its module has no place in the order"]);
    assert_eq!(
        faults(
            [("low.rs", "use crate::high::T;"), ("high.rs", "")],
            &["low", "high"],
            &[]
        ),
        [""; 0]
    );
}

#[test]
fn a_circle_of_files_is_found() {
    let found = |files: &[(&str, &str)], leftovers: &[&str]| faults(files.iter().copied(), &["a"], leftovers);
    let siblings = [
        ("a.rs", "mod b; mod c; mod d;"),
        ("a/b.rs", "use super::c::C;"),
        ("a/c.rs", "use crate::a::d;"),
        ("a/d.rs", "fn f() { super::b::f() }"),
    ];
    let fault = ["these files import each other in a circle: a::b, a::c, a::d"];
    assert_eq!(found(&siblings, &[]), fault);
    assert_eq!(found(&siblings, &["a::x"]), fault);
    assert_eq!(found(&siblings, &["a"]), [""; 0]);
    // A re-export counts as the file that defines it.
    let exported = [
        ("a.rs", "mod b; mod c; pub use c::C; pub(crate) use b::B as D;"),
        ("a/b.rs", "use super::C;"),
        ("a/c.rs", "use super::D;"),
    ];
    assert_eq!(
        found(&exported, &[]),
        ["these files import each other in a circle: a::b, a::c"]
    );
    // A file may use what its parent itself defines, and a parent its children.
    let own = [
        ("a.rs", "mod b; use b::B; pub struct A;"),
        ("a/b.rs", "mod c; use super::A; use c::C;"),
        ("a/b/c.rs", "use crate::a::A; use super::B;"),
    ];
    assert_eq!(found(&own, &[]), [""; 0]);
    // But somebody else may not, if the parent's children lead back.
    let round = [
        ("a.rs", "mod b; mod x;"),
        ("a/b.rs", "mod c; pub struct B;"),
        ("a/b/c.rs", "use crate::a::x::X;"),
        ("a/x.rs", "use super::b::B;"),
    ];
    assert_eq!(
        found(&round, &[]),
        ["these files import each other in a circle: a::b, a::b::c, a::x"]
    );
}
