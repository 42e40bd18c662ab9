//! The enclave's side of egress: naming a host and port at the beginning of a pipe.

use std::fmt;
use std::io;
use std::str::FromStr;

use futures_util::future::BoxFuture;
use http::uri::Authority;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::client::{BoxIo, Connector};
use crate::pipe::line::{canonical, read_line};

/// Why the host would not forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EgressRefusal {
    /// The line was none.
    #[error("the egress proxy did not understand the request")]
    Malformed,
    /// The target is not on the host's list.
    #[error("the target is not on the egress allow-list")]
    NotAllowed,
    /// The target does not answer.
    #[error("the target cannot be reached")]
    Unreachable,
    /// The proxy has no free place.
    #[error("the egress proxy is busy")]
    Busy,
}

impl EgressRefusal {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotAllowed => "not_allowed",
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        [
            Self::Malformed,
            Self::NotAllowed,
            Self::Unreachable,
            Self::Busy,
        ]
        .into_iter()
        .find(|refusal| refusal.code() == code)
    }
}

/// Why a pipe does not lead to its target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// The host refused.
    #[error(transparent)]
    Refused(#[from] EgressRefusal),
    /// The pipe broke, or spoke something else.
    #[error("the egress pipe broke")]
    Io(#[from] io::Error),
    /// The target is not a host and port.
    #[error("the target is not a host and a port")]
    BadTarget,
}

impl From<PipeError> for io::Error {
    fn from(error: PipeError) -> Self {
        match error {
            PipeError::Io(error) => error,
            PipeError::BadTarget => Self::new(io::ErrorKind::InvalidInput, error),
            PipeError::Refused(EgressRefusal::NotAllowed) => {
                Self::new(io::ErrorKind::PermissionDenied, error)
            }
            PipeError::Refused(_) => Self::new(io::ErrorKind::ConnectionRefused, error),
        }
    }
}

/// A host name or address, and a port; compared exactly, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    host: String,
    port: u16,
}

impl Target {
    /// Takes a host name, IPv4 or bare IPv6 address and a port.
    ///
    /// # Errors
    ///
    /// [`PipeError::BadTarget`] if the host has a character that host names do not have, is empty
    /// or too long, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, PipeError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        let named = !host.is_empty() && host.len() <= 253 && host.bytes().all(plain);
        if port == 0 || !(named || host.parse::<std::net::Ipv6Addr>().is_ok()) {
            return Err(PipeError::BadTarget);
        }
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// Returns the host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Target {
    type Err = PipeError;

    fn from_str(text: &str) -> Result<Self, PipeError> {
        let (host, port) = text.rsplit_once(':').ok_or(PipeError::BadTarget)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let port = canonical::<u16>(port).ok_or(PipeError::BadTarget)?;
        match bracketed {
            Some(v6) if v6.contains(':') => Self::new(v6, port),
            None if !host.contains(':') => Self::new(host, port),
            _ => Err(PipeError::BadTarget),
        }
    }
}

/// Asks the egress proxy at the other end of a fresh pipe to forward it to a host and port.
///
/// # Errors
///
/// [`PipeError`]. The caller limits the time.
pub async fn dial_through<S>(mut pipe: S, host: &str, port: u16) -> Result<S, PipeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let target = Target::new(host, port)?;
    pipe.write_all(format!("CONNECT {target}\n").as_bytes())
        .await?;
    pipe.flush().await?;
    let answer = read_line(&mut pipe).await?;
    if answer == "OK" {
        return Ok(pipe);
    }
    let refusal = answer
        .strip_prefix("ERR ")
        .and_then(EgressRefusal::from_code);
    Err(refusal.map_or_else(
        || io::Error::new(io::ErrorKind::InvalidData, "not an answer of the pipe").into(),
        PipeError::Refused,
    ))
}

/// Connects through an egress proxy; `C` is the way to the proxy.
#[derive(Debug, Clone)]
pub struct EgressConnector<C> {
    pipe: C,
}

impl<C: Connector> EgressConnector<C> {
    /// Takes the connector that leads to the proxy.
    pub const fn new(pipe: C) -> Self {
        Self { pipe }
    }
}

impl<C: Connector> Connector for EgressConnector<C> {
    fn connect<'a>(&'a self, authority: &'a Authority) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let pipe = self.pipe.connect(authority).await?;
            let host = crate::client::bare_host(authority);
            Ok(dial_through(pipe, host, authority.port_u16().unwrap_or(443)).await?)
        })
    }
}
