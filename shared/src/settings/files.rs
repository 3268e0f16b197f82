//! Secrets that stand in files, as Docker and Kubernetes hand them out: `NAME_FILE` names the file with the value of `NAME`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most bytes that such a file may have: no secret is longer, and a device would be read for ever.
const MAX_BYTES: u64 = 64 * 1024;

/// A value that was read from a file.
pub(super) struct FromFile {
    /// The setting, without `_FILE`.
    pub(super) name: &'static str,
    pub(super) value: OsString,
    pub(super) path: PathBuf,
}

/// Without the value, which is secret.
impl fmt::Debug for FromFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FromFile").field(&self.name).field(&self.path).finish()
    }
}

/// The secret in a file, without the one newline at its end that editors and `echo` leave there.
///
/// # Errors
/// The file can't be read, is empty, too long, or no text; the words never repeat what it holds.
pub fn secret_in(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|cause| format!("the file {} can't be read: {cause}", path.display()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!(
            "the file {} has more than {MAX_BYTES} bytes, so it holds no secret",
            path.display()
        ));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| format!("the file {} is no text", path.display()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    match text.is_empty() {
        true => Err(format!("the file {} is empty", path.display())),
        false => Ok(text),
    }
}

/// The value of a flag, and whether it is there. `--name=value` and `--name value`.
pub(super) fn flag(arguments: &[OsString], name: &str) -> Option<OsString> {
    let flag = format!("--{}", name.to_ascii_lowercase().replace('_', "-"));
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let rest = argument.to_str().and_then(|text| text.strip_prefix(&flag));
        match rest {
            Some("") => return Some(arguments.next().map_or_else(OsString::new, OsString::clone)),
            Some(value) if value.starts_with('=') => return Some(OsStr::new(&value[1..]).to_owned()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_is_cut_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("secret-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("secret");
        for (written, read) in [
            ("a b", Ok("a b")),
            ("a\n", Ok("a")),
            ("a\r\n", Ok("a")),
            ("a\n\n", Ok("a\n")),
            (" a ", Ok(" a ")),
            ("", Err("is empty")),
            ("\n", Err("is empty")),
        ] {
            std::fs::write(&path, written).unwrap();
            match (secret_in(&path), read) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted),
                (Err(why), Err(wanted)) => assert!(why.contains(wanted), "{why}"),
                other => panic!("{written:?}: {other:?}"),
            }
        }
        assert!(secret_in(&folder).is_err_and(|why| why.contains("can't be read")));
        assert!(secret_in(Path::new("/dev/zero")).is_err_and(|why| why.contains("more than")));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn flags_are_found_in_both_forms() {
        let found = |text: &str| {
            let arguments: Vec<OsString> = text.split(' ').map(OsString::from).collect();
            flag(&arguments, "MONGO_URI").map(|value| value.into_string().unwrap())
        };
        assert_eq!(found("server --mongo-uri x"), Some("x".to_owned()));
        assert_eq!(found("server --mongo-uri=x y"), Some("x".to_owned()));
        assert_eq!(found("server --mongo-uri-file x"), None);
    }
}
