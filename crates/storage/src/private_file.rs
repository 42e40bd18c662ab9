//! Files that only their owner may open.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

const ROOT: u32 = 0;

/// What is wrong with a file that should be private.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    /// Not a regular file: a symlink, a folder, a device.
    NotAFile,
    /// Group or others may do something with it.
    TooOpen(u32),
    /// It belongs to this user, who is neither root nor the one that runs this process.
    NotOurs(u32),
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
    check_owner(metadata.uid(), rustix::process::geteuid().as_raw())?;
    Ok(file)
}

/// The mode says nothing about the owner, who can read the file and put another in its place.
fn check_owner(owner: u32, user: u32) -> Result<(), Fault> {
    if owner == user || owner == ROOT {
        Ok(())
    } else {
        Err(Fault::NotOurs(owner))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_files_and_those_of_root_are_trusted() {
        assert!(check_owner(1000, 1000).is_ok());
        assert!(check_owner(ROOT, 1000).is_ok());
        for (owner, user) in [(1001, 1000), (1000, ROOT)] {
            assert!(matches!(check_owner(owner, user), Err(Fault::NotOurs(o)) if o == owner));
        }
    }

    #[test]
    fn a_private_file_of_somebody_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        create_new(&path).unwrap();
        assert!(open(&path).is_ok());
        // Only root can give a file away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert!(matches!(open(&path), Err(Fault::NotOurs(65_534))));
        }
    }
}
