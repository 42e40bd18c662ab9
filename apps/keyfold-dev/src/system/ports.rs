//! Ports that stay a system's own while it lives, although its processes come and go.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::system::SystemError;

/// Below what Linux hands out by itself, so that no outgoing connection takes a port while its
/// process is down.
const FIRST: u16 = 20_000;
const BLOCK: u16 = 16;
const BLOCKS: u16 = 750;

/// A block of neighbouring ports on loopback, locked against other systems of the same user; those
/// of others are seen by the ports they hold.
#[derive(Debug)]
pub(crate) struct Ports {
    base: u16,
    _lock: File,
}

impl Ports {
    /// Takes a free block.
    pub(crate) fn take() -> Result<Self, SystemError> {
        let user = geteuid().as_raw();
        let folder = std::env::temp_dir().join(format!("keyfold-ports-{user}"));
        make_own(&folder, user).map_err(SystemError::io(format!("make {}", folder.display())))?;
        let mut start = [0; 2];
        getrandom::fill(&mut start).map_err(SystemError::step("draw randomness"))?;
        let start = u16::from_be_bytes(start);
        for step in 0..BLOCKS {
            let block = (start % BLOCKS + step) % BLOCKS;
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
                .open(folder.join(block.to_string()));
            let Ok(lock) = lock else { continue };
            if lock.try_lock().is_err() {
                continue;
            }
            let base = FIRST + block * BLOCK;
            let free = (base..base + BLOCK)
                .all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
            if free {
                return Ok(Self { base, _lock: lock });
            }
        }
        Err(SystemError::NoPorts)
    }

    /// Returns one address of the block, always the same for the same number below 16.
    pub(crate) fn address(&self, number: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.base + number % BLOCK).into()
    }
}

/// Makes a folder for one user in a folder of all users, or takes the one that is there, if it is
/// that user's alone.
fn make_own(folder: &Path, user: u32) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(folder)?;
    if found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(io::Error::other(
            "there is something else with that name, or it is open to others; remove it",
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn what_another_user_may_have_put_in_place_of_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let user = geteuid().as_raw();
        let own = dir.path().join("own");
        make_own(&own, user).unwrap();
        make_own(&own, user).unwrap();
        assert!(make_own(&own, user + 1).is_err(), "another user's");
        let link = dir.path().join("link");
        symlink(&own, &link).unwrap();
        assert!(make_own(&link, user).is_err(), "a link");
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&own, open).unwrap();
        assert!(make_own(&own, user).is_err(), "open to others");
    }

    #[test]
    fn two_systems_never_share_a_port() {
        let (one, two) = (Ports::take().unwrap(), Ports::take().unwrap());
        assert_ne!(one.base / BLOCK, two.base / BLOCK);
        assert_ne!(one.address(0), one.address(15));
    }
}
