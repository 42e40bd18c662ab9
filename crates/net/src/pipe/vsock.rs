//! The pipes as vsock: between an enclave and its parent instance, by number of machine and of port.
//!
//! No first line says for which port a connection is: vsock itself does.

use std::io;

use futures_util::future::BoxFuture;
use http::uri::Authority;
use tokio_vsock::{VMADDR_CID_ANY, VsockAddr, VsockStream};

use crate::client::{BoxIo, Connector};

/// The number of the parent instance, as its enclaves see it.
pub const PARENT_CID: u32 = 3;

/// Connects to one port of one machine, whatever the authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VsockConnector {
    cid: u32,
    port: u32,
}

impl VsockConnector {
    /// Takes the machine's number and the port.
    pub const fn new(cid: u32, port: u32) -> Self {
        Self { cid, port }
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// What the system says; `ConnectionReset` where nobody listens there.
    pub async fn stream(&self) -> io::Result<VsockStream> {
        VsockStream::connect(VsockAddr::new(self.cid, self.port)).await
    }
}

impl Connector for VsockConnector {
    fn connect<'a>(&'a self, _authority: &'a Authority) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move { Ok(Box::new(self.stream().await?) as BoxIo) })
    }
}

/// Listens on one port for any machine that may reach this one: an enclave's parent, or the enclaves
/// of a parent.
#[derive(Debug)]
pub struct VsockListener(tokio_vsock::VsockListener);

impl VsockListener {
    /// Listens.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn bind(port: u32) -> io::Result<Self> {
        tokio_vsock::VsockListener::bind(VsockAddr::new(VMADDR_CID_ANY, port)).map(Self)
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn accept(&self) -> io::Result<VsockStream> {
        let (stream, _) = self.0.accept().await?;
        Ok(stream)
    }
}
