//! The master key file: 32 bytes, mode 0600, made once.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use keyfold_crypto::Secret;
use keyfold_crypto::envelope;
use rand_core::CryptoRng;

use crate::private_file::{self, Fault};

/// How many bytes a master key has.
pub const MASTER_KEY_BYTES: usize = 32;

/// The key from which a process derives all keys it uses at rest. Never in a database or a backup.
///
/// # Security
///
/// Wiped when dropped; not cloneable, not printable. What the kernel cached of the file is not
/// wiped.
pub struct MasterKey(Secret<MASTER_KEY_BYTES>);

/// Why a master key file was not made or not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// There is no such file.
    #[error("there is no master key at {path}; make one with the init command")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It exists already and is not overwritten: what it encrypts would be lost.
    #[error("there is a master key at {path} already; it is not replaced")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner may open it. It must be taken for known to them.
    #[error("{path} has mode {mode:o}, wider than 600: the key may be known to others")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to somebody else. It must be taken for known to them.
    #[error("{path} belongs to user {owner}, not to the user that runs this program")]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
    },
    /// It is a symlink, a folder or a device, or has not exactly 32 bytes.
    #[error("{path} is not a master key file")]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot read or write {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl MasterKey {
    /// Draws a key and writes it to a new file.
    ///
    /// Either the whole key is there afterwards or nothing: it is written beside its place, made
    /// durable and then linked, which fails if the name is taken.
    ///
    /// # Errors
    ///
    /// [`MasterKeyError::Exists`] or [`MasterKeyError::Io`].
    pub fn init(path: &Path, rng: &mut impl CryptoRng) -> Result<Self, MasterKeyError> {
        let key = Secret::random(rng);
        let mut suffix = [0; 8];
        rng.fill_bytes(&mut suffix);
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{:016x}.new", u64::from_be_bytes(suffix)));
        let beside = PathBuf::from(name);

        let written = key
            .expose(|key| write_private(&beside, key))
            .and_then(|()| fs::hard_link(&beside, path));
        // Nothing is left to do where this fails: the name is random and the mode 0600.
        let _ = fs::remove_file(&beside);
        written
            .and_then(|()| private_file::sync_parent(path))
            .map_err(|source| {
                if source.kind() == io::ErrorKind::AlreadyExists {
                    MasterKeyError::Exists {
                        path: path.to_owned(),
                    }
                } else {
                    MasterKeyError::Io {
                        path: path.to_owned(),
                        source,
                    }
                }
            })?;
        Ok(Self(key))
    }

    /// Reads the key from its file.
    ///
    /// # Errors
    ///
    /// [`MasterKeyError`]; a file that is a symlink, open to others, another user's or of another
    /// length is refused.
    pub fn load(path: &Path) -> Result<Self, MasterKeyError> {
        let path = || path.to_owned();
        let mut file = private_file::open(&path()).map_err(|fault| match fault {
            Fault::Io(source) if source.kind() == io::ErrorKind::NotFound => {
                MasterKeyError::Missing { path: path() }
            }
            Fault::Io(source) => MasterKeyError::Io {
                path: path(),
                source,
            },
            Fault::NotAFile => MasterKeyError::NotAKey { path: path() },
            Fault::TooOpen(mode) => MasterKeyError::TooOpen { path: path(), mode },
            Fault::NotOurs(owner) => MasterKeyError::NotOurs {
                path: path(),
                owner,
            },
        })?;
        let io = |source| MasterKeyError::Io {
            path: path(),
            source,
        };
        let length = file.metadata().map_err(io)?.len();
        if length != MASTER_KEY_BYTES as u64 {
            return Err(MasterKeyError::NotAKey { path: path() });
        }
        let mut read = Ok(());
        let key = Secret::init_with(|key| read = file.read_exact(key));
        read.map_err(io)?;
        Ok(Self(key))
    }

    /// Makes the key under which [`crate::SealedColumn`] and `keyfold_crypto` seal and derive.
    pub fn to_envelope_key(&self) -> envelope::MasterKey {
        envelope::MasterKey::new(self.0.duplicate())
    }

    /// Shows the key's bytes to a function.
    pub fn expose<T>(&self, use_key: impl FnOnce(&[u8; MASTER_KEY_BYTES]) -> T) -> T {
        self.0.expose(use_key)
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

fn write_private(path: &Path, key: &[u8; MASTER_KEY_BYTES]) -> io::Result<()> {
    let mut file = private_file::create_new(path)?;
    file.write_all(key)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    use super::*;

    fn init(path: &Path) -> Result<MasterKey, MasterKeyError> {
        MasterKey::init(path, &mut UnwrapErr(SysRng))
    }

    #[test]
    fn a_key_is_made_private_and_read_back_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let made = init(&path).unwrap();
        let read = MasterKey::load(&path).unwrap();
        assert!(made.expose(|a| read.expose(|b| a == b && *a != [0; 32])));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_init_keeps_the_first_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        init(&path).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(init(&path), Err(MasterKeyError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        init(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(
                matches!(MasterKey::load(&path), Err(MasterKeyError::TooOpen { .. })),
                "{mode:o}"
            );
        }
    }

    #[test]
    fn a_symlink_a_folder_and_a_dangling_link_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        init(&real).unwrap();
        symlink(&real, &link).unwrap();
        assert!(matches!(
            MasterKey::load(&link),
            Err(MasterKeyError::NotAKey { .. })
        ));
        assert!(matches!(
            MasterKey::load(dir.path()),
            Err(MasterKeyError::NotAKey { .. })
        ));
        let dangling = dir.path().join("dangling");
        symlink(dir.path().join("elsewhere"), &dangling).unwrap();
        assert!(matches!(
            init(&dangling),
            Err(MasterKeyError::Exists { .. })
        ));
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for length in [0, 31, 33, 64] {
            let path = dir.path().join(length.to_string());
            let mut file = private_file::create_new(&path).unwrap();
            file.write_all(&vec![7; length]).unwrap();
            assert!(matches!(
                MasterKey::load(&path),
                Err(MasterKeyError::NotAKey { .. })
            ));
        }
        let missing = MasterKey::load(&dir.path().join("none"));
        assert!(matches!(missing, Err(MasterKeyError::Missing { .. })));
    }

    #[test]
    fn debug_shows_no_key() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            format!("{:?}", init(&dir.path().join("k")).unwrap()),
            "MasterKey(..)"
        );
    }
}
