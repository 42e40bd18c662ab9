//! The two byte pipes of an enclave: vsock in Nitro, Unix sockets elsewhere.
//!
//! Inbound, the host connects to a port of the enclave. On a Unix socket that begins with the line
//! `CONNECT <port>`, answered by `OK <n>`, as in the hybrid vsock of Firecracker and
//! vhost-device-vsock. Outbound, the enclave connects to the host's egress proxy and names a host
//! and port: `CONNECT <host>:<port>`, answered by `OK` or `ERR <code>`. TLS goes through either as
//! bytes; the host sees where to, and no more.

mod copy;
mod egress;
mod hybrid;
mod line;
mod proxy;
mod socket;
#[cfg(target_os = "linux")]
mod vsock;

pub use copy::poll_read_at_most;
pub use egress::{EgressConnector, EgressRefusal, PipeError, Target, dial_through};
pub use hybrid::{HybridConnector, accept_port, connect_port};
pub use line::MAX_LINE_BYTES;
pub use proxy::{AllowList, EgressLimits, EgressProxy, LocalService};
pub use socket::{SocketFile, bind_private};
#[cfg(target_os = "linux")]
pub use vsock::{PARENT_CID, VsockConnector, VsockListener};

#[cfg(test)]
mod tests;
