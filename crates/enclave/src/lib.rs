//! The trusted application: sign-in, key machine, signer, over a small [`Platform`].
//!
//! Native only, and bound to no runtime: it awaits what the platform does and spawns nothing. It
//! may touch its platform and its arguments; no clock, randomness, network or files of its own.
//!
//! Three calls are all there is: [`Enclave::start`] once, [`Enclave::maintain`] beside everything
//! else for as long as the process lives, and [`Enclave::handle`] for each request of the host.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod host;
pub mod platform;

use std::sync::Arc;

pub use host::{HostRequest, HostResponse};
pub use platform::{
    AttestRequest, ComposedMail, MailError, Peer, PeerError, PeerRequest, PeerResponse, PeerTrust,
    Platform, PlatformError,
};

/// One running instance.
pub struct Enclave<P: Platform> {
    _platform: Arc<P>,
}

/// Says why an instance cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The security module failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl<P: Platform> Enclave<P> {
    /// Starts an instance: boots into the realm whose record the host has, or, where it has none,
    /// waits for genesis.
    ///
    /// # Errors
    ///
    /// [`BootError`]; the process is to end then, and a new one may try again.
    pub async fn start(platform: Arc<P>) -> Result<Arc<Self>, BootError> {
        Ok(Arc::new(Self {
            _platform: platform,
        }))
    }

    /// Answers one request of the host; never fails, never panics.
    pub async fn handle(&self, request: HostRequest) -> HostResponse {
        let _ = request;
        HostResponse {
            status: 503,
            content_type: "application/problem+json",
            body: Vec::new(),
        }
    }

    /// Does what time asks for: rotates keys, renews registrations, checks the clock, ends what
    /// was started in the background. Never returns; is to be polled as long as requests are.
    pub async fn maintain(&self) {
        core::future::pending().await
    }
}
