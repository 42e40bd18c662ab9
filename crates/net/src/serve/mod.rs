//! Serving an axum router over TLS, Unix sockets and any byte stream.

mod connection;
mod harden;
mod places;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

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
    /// are closed at once. No limit where absent.
    pub max_per_peer: Option<usize>,
    /// Networks of proxies that everybody comes through: `max_per_peer` does not count for them.
    pub trusted_proxies: Vec<IpNet>,
    /// For a TLS handshake, from accept to finished.
    pub handshake_timeout: Duration,
    /// For the head of a request, and so also for a connection on which nothing is asked.
    pub header_timeout: Duration,
    /// Header bytes of one request.
    pub max_header_bytes: usize,
    /// Requests at once on one HTTP/2 connection. Each may have a whole body in memory, so this,
    /// `max_per_peer` and the largest body multiply to what one peer can make the process hold.
    pub max_streams: u32,
    /// For requests that are under way when the shutdown begins.
    pub drain_timeout: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_per_peer: Some(64),
            trusted_proxies: Vec::new(),
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            max_header_bytes: 32 * 1024,
            max_streams: 16,
            drain_timeout: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests;
