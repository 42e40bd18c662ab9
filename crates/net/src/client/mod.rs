//! A small HTTP/1.1 client with pooled connections over any byte stream.

mod connect;
mod error;
mod http_client;
mod pool;

use std::time::Duration;

pub(crate) use connect::bare_host;
pub use connect::{BoxIo, Connector, Io, TcpConnector, TlsConnector, UnixConnector};
pub use error::ClientError;
pub use http_client::HttpClient;

/// What one request may cost.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// For a new connection, its TLS handshake included.
    pub connect_timeout: Duration,
    /// For the whole exchange, connecting included.
    pub request_timeout: Duration,
    /// Bytes of an answer's body.
    pub max_response_bytes: usize,
    /// Connections that are kept for the next request, per authority.
    pub max_idle: usize,
    /// For how long they are kept; shorter than what servers allow.
    pub idle_timeout: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(20),
            max_response_bytes: 1024 * 1024,
            max_idle: 32,
            idle_timeout: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests;
