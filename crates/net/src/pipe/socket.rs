//! Unix sockets that only their owner may use.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// A bound socket, whose file is removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

/// Binds a socket with mode 0600, in place of one that a process left behind which is gone. Makes
/// the folder where it is missing.
///
/// # Errors
///
/// What the system says. A file that is no socket, or a socket somebody listens on, is left alone:
/// `AlreadyExists`, `AddrInUse`.
///
/// # Security
///
/// The system makes a socket as open as the umask lets it. This one is made where nobody else can
/// come, and moved to its place once it is private: there is no moment in which another user could
/// connect.
pub async fn bind_private(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            if UnixStream::connect(path).await.is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            fs::remove_file(path)?;
        }
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    if folder != Path::new("") {
        fs::create_dir_all(folder)?;
    }
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    let private = folder.join(name);
    // Left over from a start that was killed here.
    match fs::remove_dir_all(&private) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&private)?;
    let bound = bind_in(&private, path);
    // What is left there is in nobody's way, and removed at the next start.
    let _ = fs::remove_dir_all(&private);
    Ok((bound?, SocketFile(path.to_owned())))
}

fn bind_in(private: &Path, path: &Path) -> io::Result<UnixListener> {
    // The shortest name: a socket's path has little more than a hundred bytes.
    let socket = private.join("s");
    let listener = UnixListener::bind(&socket)?;
    fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
    fs::rename(&socket, path)?;
    Ok(listener)
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already; the next start copes with either.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_one_in_use_or_another_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/out.sock");
        let (listener, file) = bind_private(&path).await.unwrap();
        let mode = fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        let taken = bind_private(&path).await.err().unwrap();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);

        // Killed: the file stays, nobody listens.
        std::mem::forget(file);
        drop(listener);
        let (listener, file) = bind_private(&path).await.unwrap();
        drop((listener, file));
        assert!(!path.exists());

        fs::write(&path, "something of the operator's").unwrap();
        assert!(bind_private(&path).await.is_err());
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_socket_is_made_out_of_reach_and_nothing_is_left_of_that() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.sock");
        // A start that was killed in the middle.
        let private = dir.path().join(".out.sock");
        fs::create_dir(&private).unwrap();
        drop(UnixListener::bind(private.join("s")).unwrap());

        let (listener, _file) = bind_private(&path).await.unwrap();
        let connected = UnixStream::connect(&path).await.unwrap();
        listener.accept().await.unwrap();
        drop(connected);
        // The socket was not bound under the name it has now.
        let address = listener.local_addr().unwrap();
        assert_eq!(address.as_pathname(), Some(private.join("s").as_path()));
        assert!(!private.exists());
    }
}
