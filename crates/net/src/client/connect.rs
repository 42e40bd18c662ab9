//! Ways to a byte stream.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::uri::Authority;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A byte stream in both directions.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Io for T {}

/// A byte stream of a kind that does not matter.
pub type BoxIo = Box<dyn Io>;

/// Something that makes connections.
pub trait Connector: Send + Sync + 'static {
    /// Connects to a host and port. Some connectors lead to one place whatever the authority.
    fn connect<'a>(&'a self, authority: &'a Authority) -> BoxFuture<'a, io::Result<BoxIo>>;
}

impl<C: Connector + ?Sized> Connector for Arc<C> {
    fn connect<'a>(&'a self, authority: &'a Authority) -> BoxFuture<'a, io::Result<BoxIo>> {
        (**self).connect(authority)
    }
}

/// Connects by TCP, to port 443 unless the authority names one.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect<'a>(&'a self, authority: &'a Authority) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let port = authority.port_u16().unwrap_or(443);
            let stream = TcpStream::connect((bare_host(authority), port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}

/// Connects to one Unix socket, whatever the authority.
#[derive(Debug, Clone)]
pub struct UnixConnector {
    path: PathBuf,
}

impl UnixConnector {
    /// Takes the socket's path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Connector for UnixConnector {
    fn connect<'a>(&'a self, _authority: &'a Authority) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move { Ok(Box::new(UnixStream::connect(&self.path).await?) as BoxIo) })
    }
}

/// Speaks TLS inside what another connector gives, so that TLS can end behind a byte pipe.
#[derive(Clone)]
pub struct TlsConnector<C> {
    inner: C,
    tls: tokio_rustls::TlsConnector,
}

impl<C: Connector> TlsConnector<C> {
    /// Takes the connector underneath and whom to accept as server
    /// ([`crate::tls::client_config_pinned`] or [`crate::tls::client_config_with_roots`]).
    pub fn new(inner: C, config: Arc<ClientConfig>) -> Self {
        Self {
            inner,
            tls: tokio_rustls::TlsConnector::from(config),
        }
    }
}

impl<C: Connector> Connector for TlsConnector<C> {
    fn connect<'a>(&'a self, authority: &'a Authority) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let name = ServerName::try_from(bare_host(authority).to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let stream = self.inner.connect(authority).await?;
            Ok(Box::new(self.tls.connect(name, stream).await?) as BoxIo)
        })
    }
}

impl<C> std::fmt::Debug for TlsConnector<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

/// Returns the host without the brackets of an IPv6 address.
pub(crate) fn bare_host(authority: &Authority) -> &str {
    let host = authority.host();
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}
