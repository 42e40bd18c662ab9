//! The handshake of hybrid vsock: which port of the enclave a connection is for.

use std::io;
use std::path::PathBuf;

use futures_util::future::BoxFuture;
use http::uri::Authority;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::client::{BoxIo, Connector};
use crate::pipe::line::{canonical, read_line};

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a hybrid vsock handshake")
}

/// Asks for a port on a fresh stream, from the host's side.
///
/// # Errors
///
/// If the other side closes the stream (nobody listens there) or answers something else.
pub async fn connect_port<S>(stream: &mut S, port: u32) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream
        .write_all(format!("CONNECT {port}\n").as_bytes())
        .await?;
    stream.flush().await?;
    let answer = read_line(stream).await?;
    // The number is the host's port of this connection, which is of no use to us.
    answer
        .strip_prefix("OK ")
        .and_then(canonical::<u32>)
        .map(drop)
        .ok_or_else(refused)
}

/// Reads which port is asked for on a fresh stream, and confirms it if it is the one served.
///
/// # Errors
///
/// If it is another port, or no handshake. Dropping the stream is then the whole answer. The caller
/// limits the time.
pub async fn accept_port<S>(stream: &mut S, served: u32) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let line = read_line(stream).await?;
    let port = line
        .strip_prefix("CONNECT ")
        .and_then(canonical::<u32>)
        .ok_or_else(refused)?;
    if port != served {
        return Err(io::Error::new(
            io::ErrorKind::ConnectionRefused,
            "nobody listens on this port",
        ));
    }
    stream
        .write_all(format!("OK {served}\n").as_bytes())
        .await?;
    stream.flush().await
}

/// Connects to one port behind a hybrid vsock socket, whatever the authority.
#[derive(Debug, Clone)]
pub struct HybridConnector {
    path: PathBuf,
    port: u32,
}

impl HybridConnector {
    /// Takes the socket's path and the enclave's port.
    pub fn new(path: impl Into<PathBuf>, port: u32) -> Self {
        Self {
            path: path.into(),
            port,
        }
    }
}

impl Connector for HybridConnector {
    fn connect<'a>(&'a self, _authority: &'a Authority) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let mut stream = UnixStream::connect(&self.path).await?;
            connect_port(&mut stream, self.port).await?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}
