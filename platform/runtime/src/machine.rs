//! A security module and an outbound pipe, as the application's platform.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use keyfold_enclave::{
    AttestRequest, ComposedMail, MailError, Peer, PeerError, PeerRequest, PeerResponse, Platform,
    PlatformError,
};
use keyfold_net::Connector;
use keyfold_protocol::client_api::MailSettings;

use crate::mail;
use crate::peers::Peers;

/// The part of a platform that only hardware, or its stand-in, can do.
pub trait SecurityModule: Send + Sync + 'static {
    /// Fills `out` with randomness.
    ///
    /// # Errors
    ///
    /// [`PlatformError::Random`].
    fn random(&self, out: &mut [u8]) -> Result<(), PlatformError>;

    /// Makes an attestation document.
    ///
    /// # Errors
    ///
    /// [`PlatformError::Attest`].
    fn attest(&self, request: AttestRequest<'_>) -> Result<Vec<u8>, PlatformError>;

    /// Extends PCR16 and locks it.
    ///
    /// # Errors
    ///
    /// [`PlatformError::Pcr`].
    fn extend_pcr16_and_lock(&self, data: &[u8]) -> Result<(), PlatformError>;
}

/// Makes fresh pipes to the host's egress proxy, whatever the authority.
pub(crate) type Outbound = Arc<dyn Connector>;

/// The machine an application runs on.
pub struct Machine<M> {
    module: M,
    outbound: Outbound,
    peers: Peers,
    started: Instant,
}

impl<M: SecurityModule> Machine<M> {
    /// Takes the security module and the way to the host's egress proxy.
    pub fn new(module: M, outbound: impl Connector) -> Arc<Self> {
        let outbound: Outbound = Arc::new(outbound);
        let peers = Peers::new(Arc::clone(&outbound));
        Arc::new(Self {
            module,
            outbound,
            peers,
            started: Instant::now(),
        })
    }
}

#[async_trait]
impl<M: SecurityModule> Platform for Machine<M> {
    fn random(&self, out: &mut [u8]) -> Result<(), PlatformError> {
        self.module.random(out)
    }

    fn attest(&self, request: AttestRequest<'_>) -> Result<Vec<u8>, PlatformError> {
        self.module.attest(request)
    }

    fn extend_pcr16_and_lock(&self, data: &[u8]) -> Result<(), PlatformError> {
        self.module.extend_pcr16_and_lock(data)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn call(&self, peer: &Peer, request: PeerRequest) -> Result<PeerResponse, PeerError> {
        self.peers.call(peer, request).await
    }

    async fn send_mail(
        &self,
        settings: &MailSettings,
        mail: &ComposedMail,
    ) -> Result<(), MailError> {
        mail::send(&self.outbound, settings, mail).await
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
