//! A disk whose syncs hang while a test wants it: a library that the server loads before the system's, with `fsync` and
//! `fdatasync` that wait as long as a file exists.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Server, Setup, build};

/// Waits without end in the kernel's stead; a real disk is not even given up by a kill.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int after_hang(const char *name, int file) {
    const char *mark = getenv("HANGS_WHILE");
    while (mark && access(mark, F_OK) == 0) usleep(10000);
    int (*real)(int) = dlsym(RTLD_NEXT, name);
    return real(file);
}

int fsync(int file) { return after_hang("fsync", file); }
int fdatasync(int file) { return after_hang("fdatasync", file); }
"#;

/// The name of the file in the server's folder while which exists the disk hangs.
const MARK: &str = "disk-hangs";

impl Setup {
    /// Puts the server on a disk that [`Server::hang_disk`] can make hang.
    pub fn on_hanging_disk(self) -> Self {
        let library = library();
        self.env("LD_PRELOAD", library.display()).env("HANGS_WHILE", MARK)
    }
}

impl Server {
    /// Lets no sync end from now on, or lets them all.
    pub fn hang_disk(&self, hangs: bool) {
        let mark = self.folder().join(MARK);
        match hangs {
            true => fs::write(mark, "").expect("the server's folder is writable"),
            false => fs::remove_file(mark).expect("it hung before"),
        }
    }
}

/// Compiles the library, with the compiler that also built SQLite.
fn library() -> PathBuf {
    let folder = build::tools_dir();
    let (source, library) = (folder.join("hanging_disk.c"), folder.join("hanging_disk.so"));
    if fs::read_to_string(&source).is_ok_and(|text| text == SOURCE) && library.exists() {
        return library;
    }
    // Under another name first: other test processes may come here at the same time.
    let mine = |name: &str| folder.join(format!("{}-{name}", std::process::id()));
    let (my_source, my_library) = (mine("hanging_disk.c"), mine("hanging_disk.so"));
    fs::write(&my_source, SOURCE).expect("the tools folder is writable");
    compile(&my_source, &my_library);
    fs::rename(my_library, &library).expect("the tools folder is writable");
    fs::rename(my_source, source).expect("the tools folder is writable");
    library
}

fn compile(source: &Path, library: &Path) {
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([library, source])
        .arg("-ldl")
        .status();
    assert!(compiled.is_ok_and(|status| status.success()), "cc can't compile it");
}
