//! Ports that stay a system's own while it lives, although its processes come and go.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::system::SystemError;

/// Below what Linux hands out by itself, so that no outgoing connection takes a port while its
/// process is down.
const FIRST: u16 = 20_000;
const BLOCK: u16 = 16;
const BLOCKS: u16 = 750;

/// A block of neighbouring ports on loopback, locked against other systems on this machine.
#[derive(Debug)]
pub(crate) struct Ports {
    base: u16,
    _lock: File,
}

impl Ports {
    /// Takes a free block.
    pub(crate) fn take() -> Result<Self, SystemError> {
        let folder = std::env::temp_dir().join("keyfold-ports");
        std::fs::create_dir_all(&folder)
            .map_err(SystemError::io(format!("make {}", folder.display())))?;
        let mut start = [0; 2];
        getrandom::fill(&mut start).map_err(SystemError::step("draw randomness"))?;
        let start = u16::from_be_bytes(start);
        for step in 0..BLOCKS {
            let block = (start % BLOCKS + step) % BLOCKS;
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_systems_never_share_a_port() {
        let (one, two) = (Ports::take().unwrap(), Ports::take().unwrap());
        assert_ne!(one.base / BLOCK, two.base / BLOCK);
        assert_ne!(one.address(0), one.address(15));
    }
}
