//! The instance at the other end of vsock.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use keyfold_net::pipe::{PARENT_CID, VsockConnector};
use vsock::VsockStream;

/// The parent's port for all that leaves the enclave.
pub const OUTBOUND_PORT: u32 = 5001;
/// The parent's port that hears a connection once the enclave listens.
pub const READY_PORT: u32 = 5002;
/// The parent's port on which `nitro-cli` waits for the first sign of life, and what that is.
const HEARTBEAT_PORT: u32 = 9000;
const HEARTBEAT: u8 = 0xb7;
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(20);
/// On the kernel's command line: the parent's number, where it is not the usual one.
const OPTION: &str = "enclave.parent_cid=";

/// The parent.
///
/// # Security
///
/// It is not trusted, wherever it is: all that it may do is carry bytes, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    cid: u32,
}

impl Parent {
    /// Finds the parent's number on the kernel's command line, where QEMU puts it; 3 otherwise, which is
    /// the parent of every enclave on AWS. What stands there otherwise decides nothing.
    #[must_use]
    pub fn from_command_line(command_line: &str) -> Self {
        let named = command_line
            .split_ascii_whitespace()
            .find_map(|word| word.strip_prefix(OPTION)?.parse().ok());
        Self {
            cid: named.unwrap_or(PARENT_CID),
        }
    }

    /// Gives the parent's number.
    #[must_use]
    pub const fn cid(self) -> u32 {
        self.cid
    }

    /// Leads to the host's egress proxy.
    #[must_use]
    pub const fn outbound(self) -> VsockConnector {
        VsockConnector::new(self.cid, OUTBOUND_PORT)
    }

    /// Tells who waits for it, if anybody, that the enclave listens.
    ///
    /// # Errors
    ///
    /// What the system says; nobody listening is usual.
    pub fn tell_ready(self) -> io::Result<()> {
        VsockStream::connect_with_cid_port(self.cid, READY_PORT).map(drop)
    }

    /// Gives `nitro-cli` the sign of life that it waits for, and hears it back.
    ///
    /// # Errors
    ///
    /// What the system says; on a machine without `nitro-cli` nobody listens.
    pub fn heartbeat(self) -> io::Result<()> {
        let mut stream = VsockStream::connect_with_cid_port(self.cid, HEARTBEAT_PORT)?;
        stream.set_read_timeout(Some(HEARTBEAT_TIMEOUT))?;
        stream.write_all(&[HEARTBEAT])?;
        let mut heard = [0];
        stream.read_exact(&mut heard)?;
        if heard == [HEARTBEAT] {
            Ok(())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_names_the_parent_and_nothing_else() {
        let cid = |line: &str| Parent::from_command_line(line).cid();
        assert_eq!(cid("reboot=k panic=30 console=ttyS0"), 3);
        assert_eq!(cid("console=ttyS0 enclave.parent_cid=2\n"), 2);
        assert_eq!(cid("enclave.parent_cid= enclave.parent_cid=x"), 3);
        assert_eq!(
            cid("xenclave.parent_cid=2 enclave.parent_cid=4294967296"),
            3
        );
    }
}
