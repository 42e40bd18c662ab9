//! Files that somebody names on the command line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use crate::error::CliError;

/// Most bytes of such a file.
const MAX_BYTES: u64 = 256 * 1024;

/// Reads a text, all of it or nothing: the beginning of a list or a password is another one.
pub(crate) fn read(path: &Path) -> Result<String, CliError> {
    read_at_most(path, MAX_BYTES).map_err(|error| {
        CliError::usage(
            format!("cannot read {}: {error}", path.display()),
            "Check the path.",
        )
    })
}

/// Reads bytes, at most so many and all of them or nothing.
pub(crate) fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    let bytes = first_bytes(path, most.saturating_add(1))?;
    if bytes.len() as u64 > most {
        return Err(CliError::usage(
            format!("{} has more than {most} bytes", path.display()),
            "Check the path.",
        ));
    }
    Ok(bytes)
}

/// Reads the first bytes of a file, or of standard input where it is `-`.
pub(crate) fn first_bytes(path: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(CliError::usage(
            format!("cannot read {}: {error}", path.display()),
            "Check the path.",
        )),
    }
}

fn read_at_most(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if read as u64 > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(text)
}

/// Writes a file that does not exist yet.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), CliError> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        });
    written.map_err(|error| {
        CliError::usage(
            format!("cannot write {}: {error}", path.display()),
            "Name a file that does not exist, in a folder that does.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_at_most(&path, 5).unwrap(), "12345");
        assert!(read_at_most(&path, 4).is_err());
        std::fs::write(&path, b"\xff").unwrap();
        assert!(read(&path).is_err());
        std::fs::write(&path, b"\xff2345").unwrap();
        assert_eq!(read_bytes(&path, 5).unwrap(), b"\xff2345");
        assert!(read_bytes(&path, 4).is_err());
        let missing = read(&dir.path().join("missing")).unwrap_err();
        assert!(missing.message.contains("missing"), "{missing}");
    }
}
