//! Ramdisks: the "newc" format of cpio, compressed by gzip.

use std::collections::BTreeSet;
use std::io::Write as _;

use flate2::{Compression, GzBuilder};

/// Longest path of an entry, bytes.
const MAX_PATH: usize = 255;
const TRAILER: &str = "TRAILER!!!";
/// Types of entries, as in the mode of a file.
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// Why something does not go into an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// Not a relative path of plain names.
    #[error("a path in an archive is names joined by '/', without '.' and '..'")]
    Path,
    /// Stands in the archive already.
    #[error("a path is in the archive twice")]
    Twice,
    /// Longer than the format can say.
    #[error("a file is larger than 4 GiB")]
    TooLarge,
    /// The compressor failed.
    #[error("cannot compress")]
    Compress,
}

/// Collects what a ramdisk holds, in the order in which the kernel unpacks it.
///
/// All entries belong to root, at the beginning of 1970, so that only names, modes and contents decide
/// about the bytes.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    paths: BTreeSet<String>,
}

impl Archive {
    /// Begins an empty archive.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a folder with these permissions.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`].
    pub fn directory(&mut self, path: &str, permissions: u32) -> Result<(), ArchiveError> {
        self.entry(path, DIRECTORY | permissions & 0o7777, (0, 0), &[])
    }

    /// Adds a file with these permissions.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`].
    pub fn file(
        &mut self,
        path: &str,
        permissions: u32,
        contents: &[u8],
    ) -> Result<(), ArchiveError> {
        self.entry(path, FILE | permissions & 0o7777, (0, 0), contents)
    }

    /// Adds a character device by its two numbers.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`].
    pub fn device(
        &mut self,
        path: &str,
        permissions: u32,
        major: u32,
        minor: u32,
    ) -> Result<(), ArchiveError> {
        let mode = CHARACTER_DEVICE | permissions & 0o7777;
        self.entry(path, mode, (major, minor), &[])
    }

    fn entry(
        &mut self,
        path: &str,
        mode: u32,
        device: (u32, u32),
        contents: &[u8],
    ) -> Result<(), ArchiveError> {
        let plain = |name: &str| {
            !name.is_empty()
                && name != "."
                && name != ".."
                && name.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if path.len() > MAX_PATH || path == TRAILER || !path.split('/').all(plain) {
            return Err(ArchiveError::Path);
        }
        if !self.paths.insert(path.to_owned()) {
            return Err(ArchiveError::Twice);
        }
        let size = u32::try_from(contents.len()).map_err(|_| ArchiveError::TooLarge)?;
        let number = u32::try_from(self.paths.len()).map_err(|_| ArchiveError::TooLarge)?;
        append(&mut self.bytes, number, path, mode, device, contents, size);
        Ok(())
    }

    /// Ends the archive and compresses it.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Compress`].
    pub fn into_gzip(mut self) -> Result<Vec<u8>, ArchiveError> {
        append(&mut self.bytes, 0, TRAILER, 0, (0, 0), &[], 0);
        // Neither a name nor a time, and the system that compressed it is "unknown".
        let header = GzBuilder::new().mtime(0).operating_system(255);
        let mut out = header.write(Vec::new(), Compression::best());
        out.write_all(&self.bytes)
            .and_then(|()| out.finish())
            .map_err(|_| ArchiveError::Compress)
    }
}

/// Appends one entry: a header of hexadecimal digits, the path, the contents, each to a multiple of 4.
fn append(
    out: &mut Vec<u8>,
    number: u32,
    path: &str,
    mode: u32,
    (major, minor): (u32, u32),
    contents: &[u8],
    size: u32,
) {
    let links = if mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
    // The path's length is checked, or is the trailer's; its zero byte counts.
    let path_size = u32::try_from(path.len() + 1).unwrap_or(u32::MAX);
    let fields = [
        number, mode, 0, 0, links, 0, size, 0, 0, major, minor, path_size, 0,
    ];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(contents);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_leave_its_folder_or_end_the_archive_is_no_path() {
        for path in [
            "", "/init", "a//b", "../init", "a/./b", "a/..", TRAILER, "a b", "a\0b", "é",
        ] {
            let added = Archive::new().file(path, 0o755, b"");
            assert_eq!(added, Err(ArchiveError::Path), "{path:?}");
        }
        let mut archive = Archive::new();
        archive.directory("dev", 0o755).unwrap();
        assert_eq!(archive.file("dev", 0o644, b""), Err(ArchiveError::Twice));
    }

    #[test]
    fn the_compressed_archive_says_nothing_of_the_machine_it_was_made_on() {
        let mut archive = Archive::new();
        archive.file("init", 0o755, b"program").unwrap();
        let bytes = archive.into_gzip().unwrap();
        // RFC 1952: magic, deflate, no flags (so no name), time 0, best compression, unknown system.
        assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
    }
}
