//! Configuration files: TOML of bounded size, written once and not overwritten.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest configuration file that is read, in bytes.
pub const MAX_BYTES: u64 = 256 * 1024;

/// Why a configuration file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFileError {
    /// The file cannot be read or written.
    #[error("cannot read or write {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is larger than [`MAX_BYTES`]; a part of it could be a valid file of another meaning.
    #[error("{path} is larger than {MAX_BYTES} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not TOML of the expected shape.
    #[error("{path} is not a configuration of this program: {message}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

/// Reads a text file of at most [`MAX_BYTES`].
///
/// # Errors
///
/// [`ConfigFileError::Io`], also for what is not UTF-8; [`ConfigFileError::TooLarge`].
pub fn read_text(path: &Path) -> Result<String, ConfigFileError> {
    let io = |source| ConfigFileError::Io {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(io)?;
    let read = file
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(io)?;
    if read as u64 > MAX_BYTES {
        return Err(ConfigFileError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(text)
}

/// Reads a TOML file. Its values are not checked beyond their types.
///
/// # Errors
///
/// [`ConfigFileError`].
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigFileError> {
    toml::from_str(&read_text(path)?).map_err(|error| ConfigFileError::Toml {
        path: path.to_owned(),
        message: error.message().to_owned(),
    })
}

/// Writes a new TOML file, durably; an existing file is left alone.
///
/// # Errors
///
/// [`ConfigFileError::Io`], of kind `AlreadyExists` where there is a file.
pub fn write_new_toml(path: &Path, value: &impl Serialize) -> Result<(), ConfigFileError> {
    let io = |source| ConfigFileError::Io {
        path: path.to_owned(),
        source,
    };
    let text = toml::to_string_pretty(value).map_err(|error| io(io::Error::other(error)))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(io)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(io)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_file_past_the_bound_is_refused_not_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        let line = "a = 1\n";
        let filler = "#".repeat(MAX_BYTES as usize - line.len());
        std::fs::write(&path, format!("{line}{filler}")).unwrap();
        let read: BTreeMap<String, u8> = read_toml(&path).unwrap();
        assert_eq!(read.get("a"), Some(&1));
        std::fs::write(&path, format!("{line}{filler}#")).unwrap();
        let refused = read_toml::<BTreeMap<String, u8>>(&path);
        assert!(matches!(refused, Err(ConfigFileError::TooLarge { .. })));
    }

    #[test]
    fn an_existing_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        write_new_toml(&path, &BTreeMap::from([("a", 1)])).unwrap();
        let again = write_new_toml(&path, &BTreeMap::from([("a", 2)]));
        assert!(matches!(
            again,
            Err(ConfigFileError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a = 1\n");
    }
}
