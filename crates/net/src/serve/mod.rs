//! Serving an axum router over TLS, Unix sockets and any byte stream.

mod connection;
mod harden;
mod places;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

pub use connection::serve_connection;
pub use harden::{HttpLimits, harden};
pub use server::Server;

/// The peer of a connection, in the extensions of each of its requests. `None` for a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub Option<SocketAddr>);

/// What strangers may hold open, and for how long.
#[derive(Debug, Clone)]
pub struct ServeLimits {
    /// Connections at once, handshakes included. Further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// Of these, connections of one TCP peer, as [`crate::limit::IpKey`] groups them; further ones
    /// are closed at once. No limit where absent, as behind a proxy that everybody comes through.
    pub max_per_peer: Option<usize>,
    /// For a TLS handshake, from accept to finished.
    pub handshake_timeout: Duration,
    /// For the head of a request, and so also for a connection on which nothing is asked.
    pub header_timeout: Duration,
    /// Header bytes of one request.
    pub max_header_bytes: usize,
    /// Requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// For requests that are under way when the shutdown begins.
    pub drain_timeout: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_per_peer: None,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            max_header_bytes: 32 * 1024,
            max_streams: 128,
            drain_timeout: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests;
