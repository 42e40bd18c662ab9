//! What the host asks over the inbound pipe.

use core::fmt;

/// A request of the host; the runtime has read it whole.
#[derive(Clone)]
pub struct HostRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// Path, one of [`host_path`](keyfold_protocol::gateway_api::host_path).
    pub path: String,
    /// Body.
    pub body: Vec<u8>,
}

impl fmt::Debug for HostRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The answer.
#[derive(Clone)]
pub struct HostResponse {
    /// HTTP status.
    pub status: u16,
    /// `content-type`.
    pub content_type: &'static str,
    /// Body.
    pub body: Vec<u8>,
}

impl fmt::Debug for HostResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
