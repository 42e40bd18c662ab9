//! Where the two pipes of an enclave end on this host: Unix sockets, or vsock where the enclave is a
//! machine of its own beside this one.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use keyfold_net::pipe::{EgressProxy, HybridConnector, SocketFile, bind_private};
#[cfg(target_os = "linux")]
use keyfold_net::pipe::{VsockConnector, VsockListener};
use keyfold_net::{Connector, Shutdown};
use tokio::net::UnixListener;

/// The enclave's port on its inbound pipe.
pub(crate) const ENCLAVE_PORT: u32 = 5000;
/// This host's port on the outbound pipe, where that is vsock.
#[cfg(target_os = "linux")]
const HOST_PORT: u32 = 5001;
const VSOCK: &str = "vsock";

/// Where an enclave listens: the path of a socket, or `vsock:CID`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Inbound {
    /// A Unix socket (hybrid vsock, port 5000).
    Socket(PathBuf),
    /// Port 5000 of the machine with this number.
    #[cfg(target_os = "linux")]
    Vsock(u32),
}

/// Where the gateway listens for an enclave: the path of a socket, or `vsock`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outbound {
    /// A Unix socket.
    Socket(PathBuf),
    /// Port 5001 of this machine, for each of its enclaves.
    #[cfg(target_os = "linux")]
    Vsock,
}

/// Names no machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("vsock is written `vsock:CID`, on Linux; a socket of such a name as `./vsock:...`")]
pub struct NotAMachine;

impl Inbound {
    /// The socket's path, where it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Socket(path) => Some(path),
            #[cfg(target_os = "linux")]
            Self::Vsock(_) => None,
        }
    }

    pub(crate) fn connector(&self) -> Arc<dyn Connector> {
        match self {
            Self::Socket(path) => Arc::new(HybridConnector::new(path, ENCLAVE_PORT)),
            #[cfg(target_os = "linux")]
            Self::Vsock(cid) => Arc::new(VsockConnector::new(*cid, ENCLAVE_PORT)),
        }
    }

    pub(crate) fn beside(&mut self, folder: &Path) {
        if let Self::Socket(path) = self {
            *path = folder.join(&*path);
        }
    }
}

impl FromStr for Inbound {
    type Err = NotAMachine;

    fn from_str(text: &str) -> Result<Self, NotAMachine> {
        let Some(machine) = text.strip_prefix(VSOCK).and_then(|it| it.strip_prefix(':')) else {
            return Ok(Self::Socket(text.into()));
        };
        #[cfg(target_os = "linux")]
        if let Some(cid) = machine
            .parse()
            .ok()
            .filter(|cid: &u32| cid.to_string() == machine)
        {
            return Ok(Self::Vsock(cid));
        }
        let _ = machine;
        Err(NotAMachine)
    }
}

impl From<PathBuf> for Inbound {
    fn from(path: PathBuf) -> Self {
        Self::Socket(path)
    }
}

impl From<&PathBuf> for Inbound {
    fn from(path: &PathBuf) -> Self {
        Self::Socket(path.clone())
    }
}

impl From<&Path> for Inbound {
    fn from(path: &Path) -> Self {
        Self::Socket(path.to_owned())
    }
}

impl From<&Self> for Inbound {
    fn from(inbound: &Self) -> Self {
        inbound.clone()
    }
}

impl fmt::Display for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            #[cfg(target_os = "linux")]
            Self::Vsock(cid) => write!(f, "{VSOCK}:{cid}"),
        }
    }
}

impl Outbound {
    /// The socket's path, where it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Socket(path) => Some(path),
            #[cfg(target_os = "linux")]
            Self::Vsock => None,
        }
    }

    pub(crate) async fn listen(&self) -> io::Result<Listening> {
        match self {
            Self::Socket(path) => {
                let (listener, file) = bind_private(path).await?;
                Ok(Listening::Socket(listener, file))
            }
            #[cfg(target_os = "linux")]
            Self::Vsock => Ok(Listening::Vsock(VsockListener::bind(HOST_PORT)?)),
        }
    }

    pub(crate) fn beside(&mut self, folder: &Path) {
        if let Self::Socket(path) = self {
            *path = folder.join(&*path);
        }
    }

    /// Whether several enclaves come in here.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self, Self::Socket(_))
    }
}

impl FromStr for Outbound {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        #[cfg(target_os = "linux")]
        if text == VSOCK {
            return Ok(Self::Vsock);
        }
        Ok(Self::Socket(text.into()))
    }
}

impl From<PathBuf> for Outbound {
    fn from(path: PathBuf) -> Self {
        Self::Socket(path)
    }
}

impl fmt::Display for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            #[cfg(target_os = "linux")]
            Self::Vsock => f.write_str(VSOCK),
        }
    }
}

/// The host's end of an outbound pipe.
pub(crate) enum Listening {
    Socket(UnixListener, SocketFile),
    #[cfg(target_os = "linux")]
    Vsock(VsockListener),
}

impl Listening {
    /// Serves it until the shutdown.
    pub(crate) async fn serve(self, proxy: EgressProxy, shutdown: Shutdown) {
        match self {
            Self::Socket(listener, _file) => proxy.serve(listener, shutdown).await,
            #[cfg(target_os = "linux")]
            Self::Vsock(listener) => proxy.serve_streams(|| listener.accept(), shutdown).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_a_path_or_a_machine_and_nothing_in_between() {
        for text in ["run/in.sock", "/run/in.sock", "./vsock:16", "vsock"] {
            assert_eq!(text.parse(), Ok(Inbound::Socket(text.into())), "{text}");
        }
        #[cfg(target_os = "linux")]
        assert_eq!("vsock:16".parse(), Ok(Inbound::Vsock(16)));
        for text in [
            "vsock:",
            "vsock:016",
            "vsock:-1",
            "vsock:4294967296",
            "vsock:16:5000",
        ] {
            assert_eq!(text.parse::<Inbound>(), Err(NotAMachine), "{text}");
        }
        for text in ["run/in.sock", "vsock:16"] {
            assert_eq!(text.parse::<Inbound>().unwrap().to_string(), text);
        }
        for text in ["run/out.sock", "vsock"] {
            assert_eq!(text.parse::<Outbound>().unwrap().to_string(), text);
        }
    }
}
