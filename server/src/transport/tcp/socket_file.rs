//! Sockets in the file system: taken over from a server that is gone, never from one that listens, and removed at the end.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// The file of a socket, removed when this is dropped, unless another one is in its place by then.
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.id) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a socket can be made at this path: nothing is there but one at which nobody listens.
pub(super) async fn check(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => match path.parent().is_some_and(Path::is_dir) {
            true => Ok(()),
            false => Err(io::Error::new(ErrorKind::NotFound, "its folder is not there")),
        },
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => Err(io::Error::new(
            ErrorKind::AlreadyExists,
            "another file is there, which is no socket",
        )),
        Ok(_) => match UnixStream::connect(path).await {
            // Left by a process that ended without removing it.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Ok(_) => Err(ErrorKind::AddrInUse.into()),
            Err(error) => Err(error),
        },
    }
}

/// Listens at this path. The file gets its mode under another name, so that nobody can connect before it has that, and is then
/// moved into its place.
pub(super) fn listen(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(draft);
    let _ = fs::remove_file(&draft);
    let listener = UnixListener::bind(&draft)?;
    let placed = fs::set_permissions(&draft, Permissions::from_mode(mode)).and_then(|()| {
        let made = fs::metadata(&draft)?;
        fs::rename(&draft, path)?;
        Ok(SocketFile {
            path: path.to_owned(),
            id: (made.dev(), made.ino()),
        })
    });
    match placed {
        Ok(file) => Ok((listener, file)),
        Err(error) => {
            let _ = fs::remove_file(&draft);
            Err(error)
        }
    }
}
