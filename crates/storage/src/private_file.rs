//! Files that only their owner may open.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// What is wrong with a file that should be private.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    /// Not a regular file: a symlink, a folder, a device.
    NotAFile,
    /// Group or others may do something with it.
    TooOpen(u32),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        // What O_NOFOLLOW answers for a symlink.
        if error.raw_os_error() == Some(libc::ELOOP) {
            Self::NotAFile
        } else {
            Self::Io(error)
        }
    }
}

/// Opens an existing private file. The checks are on the opened file, not on its name.
pub(crate) fn open(path: &Path) -> Result<File, Fault> {
    let file = OpenOptions::new()
        .read(true)
        // Not to hang on a pipe that was put in its place.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Fault::NotAFile);
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Fault::TooOpen(mode));
    }
    Ok(file)
}

/// Creates a file that must not exist, mode 0600 from its first moment.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Makes a rename or link in the folder of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::File::open(parent)?.sync_all()
}
