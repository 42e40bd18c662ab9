//! Unix sockets that only their owner may use.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// A bound socket, whose file is removed when this is dropped.
pub(crate) struct SocketFile(PathBuf);

/// Binds a socket, in place of one that a process left behind which is gone.
///
/// A file that is no socket, or a socket somebody listens on, is left alone.
pub(crate) async fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            if UnixStream::connect(path).await.is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            std::fs::remove_file(path)?;
        }
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok((listener, SocketFile(path.to_owned())))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already; the next start copes with either.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_one_in_use_or_another_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/out.sock");
        let (listener, file) = bind(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let taken = bind(&path).await.err().unwrap();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);

        // Killed: the file stays, nobody listens.
        std::mem::forget(file);
        drop(listener);
        let (listener, file) = bind(&path).await.unwrap();
        drop((listener, file));
        assert!(!path.exists());

        std::fs::write(&path, "something of the operator's").unwrap();
        assert!(bind(&path).await.is_err());
        assert!(path.exists());
    }
}
