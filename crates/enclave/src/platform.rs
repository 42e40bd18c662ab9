//! What the trusted application asks of the machine it runs on, and nothing else.
//!
//! The implementation ends TLS inside the enclave, dials only through its host's outbound pipe,
//! and has no say in what is asked: it moves bytes, keeps time running and draws randomness.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use async_trait::async_trait;
pub use keyfold_identity::mail::ComposedMail;
use keyfold_protocol::client_api::MailSettings;

/// The machine: security module, outbound pipe, monotonic clock.
///
/// # Security
///
/// An implementation is inside the trust boundary: whoever writes it can break every promise of
/// this crate. It logs no bodies, no headers and no mail.
#[async_trait]
pub trait Platform: Send + Sync + 'static {
    /// Fills `out` from the security module's generator.
    ///
    /// # Errors
    ///
    /// [`PlatformError`]; `out` must not be used then.
    fn random(&self, out: &mut [u8]) -> Result<(), PlatformError>;

    /// Asks the security module for an attestation document over these values.
    ///
    /// # Errors
    ///
    /// [`PlatformError`].
    fn attest(&self, request: AttestRequest<'_>) -> Result<Vec<u8>, PlatformError>;

    /// Extends PCR16 with `data` and locks it, so that later documents carry it for good.
    ///
    /// Called once in the life of an instance.
    ///
    /// # Errors
    ///
    /// [`PlatformError`]; the instance must not serve then.
    fn extend_pcr16_and_lock(&self, data: &[u8]) -> Result<(), PlatformError>;

    /// Returns the time since an arbitrary start, which never goes back.
    fn monotonic(&self) -> Duration;

    /// Makes one request to a peer and reads its whole answer.
    ///
    /// Connections may be kept and reused, among calls with the same [`PeerTrust`] alone. A
    /// redirect is an answer like any other and never followed. A future that is dropped may
    /// abandon its connection.
    ///
    /// # Errors
    ///
    /// [`PeerError`]; a status other than 2xx is not an error here.
    async fn call(&self, peer: &Peer, request: PeerRequest) -> Result<PeerResponse, PeerError>;

    /// Hands a mail to a project's server, over TLS that ends here.
    ///
    /// # Errors
    ///
    /// [`MailError`].
    async fn send_mail(
        &self,
        settings: &MailSettings,
        mail: &ComposedMail,
    ) -> Result<(), MailError>;

    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// What a document is to contain.
#[derive(Clone, Copy, Debug)]
pub struct AttestRequest<'a> {
    /// The asker's challenge.
    pub nonce: &'a [u8],
    /// Hash of what the instance binds to the document.
    pub user_data: &'a [u8],
    /// The instance's HPKE key.
    pub public_key: &'a [u8],
}

/// How a peer proves that it is itself.
#[derive(Clone, PartialEq, Eq)]
pub enum PeerTrust {
    /// TLS 1.3 with a certificate whose SubjectPublicKeyInfo has this SHA-256; names do not matter.
    TlsSpkiSha256([u8; 32]),
    /// TLS 1.3 with a certificate for the authority's host name: a server of the web.
    TlsName {
        /// PEM certificates that the server's must lead to; the public roots where absent.
        roots_pem: Option<Arc<str>>,
    },
    /// Plain HTTP/1.1 to the host's own record store. Everything that matters is sealed.
    HostStore,
}

impl fmt::Debug for PeerTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TlsSpkiSha256(_) => f.write_str("TlsSpkiSha256"),
            Self::TlsName { roots_pem: None } => f.write_str("TlsName(public roots)"),
            Self::TlsName { roots_pem: Some(_) } => f.write_str("TlsName(given roots)"),
            Self::HostStore => f.write_str("HostStore"),
        }
    }
}

/// Whom to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// `host:port`, as the outbound pipe takes it.
    pub authority: String,
    /// How the peer proves that it is itself.
    pub trust: PeerTrust,
}

/// One request.
#[derive(Clone)]
pub struct PeerRequest {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// Path, beginning with `/`.
    pub path: String,
    /// Header fields besides `host` and `content-length`: lower-case name, value.
    pub headers: Vec<(String, String)>,
    /// Body; empty for none.
    pub body: Vec<u8>,
    /// Most bytes of the answer's body that are read; more is [`PeerError::TooLarge`].
    pub max_response: usize,
    /// How long connecting, sending and reading may take together.
    pub timeout: Duration,
}

impl fmt::Debug for PeerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// One answer.
#[derive(Clone)]
pub struct PeerResponse {
    /// HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
}

impl fmt::Debug for PeerResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Says why a peer gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// No connection, or it broke.
    #[error("cannot be reached")]
    Unreachable,
    /// The host does not forward to it.
    #[error("is not on the host's allow-list")]
    NotAllowed,
    /// Its certificate has another key, or is not for its name under the roots.
    #[error("showed another TLS key or certificate than expected")]
    WrongPeer,
    /// The time is up.
    #[error("did not answer in time")]
    Timeout,
    /// The answer is larger than was asked for.
    #[error("answered with too much")]
    TooLarge,
    /// What came is not HTTP.
    #[error("answered something that is not HTTP")]
    Malformed,
}

/// Says why a mail was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// No connection, or it broke or took too long.
    #[error("the mail server cannot be reached")]
    Unreachable,
    /// Its certificate does not lead to the project's roots, or has another name.
    #[error("the mail server's certificate is not trusted")]
    Untrusted,
    /// It does not offer TLS, or somebody on the way says so.
    #[error("the mail server does not offer STARTTLS")]
    NoStarttls,
    /// It refused sender, recipient, password or message.
    #[error("the mail server refused the mail")]
    Refused,
    /// The settings cannot be used.
    #[error("the mail settings cannot be used")]
    Settings,
}

/// The security module failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// No randomness.
    #[error("the security module gives no randomness")]
    Random,
    /// No document.
    #[error("the security module makes no attestation document")]
    Attest,
    /// PCR16 was locked before, or cannot be.
    #[error("PCR16 cannot be extended and locked")]
    Pcr,
}
