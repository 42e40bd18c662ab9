//! What signing in asks of servers that are neither holders nor the host: OpenID providers, the
//! nodes of chains.
//!
//! Everything goes through [`Platform::call`]: TLS 1.3 that ends in the enclave, through the host's
//! outbound pipe, to hosts on its allow-list. The host sees which host and when. Answers are
//! bounded, a redirect is refused and never followed, and what is fetched again and again is kept:
//! [`Providers`].
//!
//! Public so that a platform can be tested with what runs on it.

mod chain;
mod kept;
mod oauth;
mod providers;

use core::time::Duration;
use std::sync::Arc;

use keyfold_identity::oidc::discovery::DiscoveryError;
use keyfold_identity::oidc::keys::KeyError;
use keyfold_identity::oidc::token::TokenResponseError;
use keyfold_identity::oidc::url::HttpsUrl;
use keyfold_protocol::gateway_api::HOST_AUTHORITY;

pub use self::chain::{MAX_NODES, Node, check_contract, look_up_farcaster};
pub use self::oauth::{redeem, user_info};
pub use self::providers::Providers;
use crate::platform::{Peer, PeerError, PeerRequest, PeerResponse, PeerTrust, Platform};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Sent with each request: some providers refuse those that do not say what they are.
const USER_AGENT: &str = concat!("keyfold/", env!("CARGO_PKG_VERSION"));

/// PEM certificates that servers' certificates must lead to; the public roots where absent.
pub type Roots<'a> = Option<&'a Arc<str>>;

/// Says why a server of the web was of no help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// No answer, or too large a one.
    #[error("the server {0}")]
    Peer(#[from] PeerError),
    /// It pointed elsewhere, which nobody follows.
    #[error("the server redirects")]
    Redirected,
    /// It answered, not with success.
    #[error("the server answers with status {0}")]
    Status(u16),
    /// It answered with something unusable in place of a discovery document.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// It answered with something unusable in place of a key set.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// It refused a code, or answered with something unusable in place of tokens.
    #[error(transparent)]
    Token(#[from] TokenResponseError),
}

/// Whom to call for an address, and with which path.
///
/// # Errors
///
/// [`PeerError::NotAllowed`] for what is not a server of the web.
fn server(url: &HttpsUrl, roots: Roots<'_>) -> Result<(Peer, String), PeerError> {
    let authority = format!("{}:{}", url.host(), url.port());
    let rest = url.as_str().strip_prefix("https://");
    // The host's own store has a name like any other. Nobody's provider is there.
    let rest = rest.filter(|_| authority != HOST_AUTHORITY);
    let rest = rest.ok_or(PeerError::NotAllowed)?;
    let path = rest.find('/').and_then(|start| rest.get(start..));
    let trust = PeerTrust::TlsName {
        roots_pem: roots.cloned(),
    };
    Ok((Peer { authority, trust }, path.unwrap_or("/").to_owned()))
}

/// A request, apart from where it goes.
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) max_response: usize,
}

/// Asks for JSON and returns the answer, whatever its status; a redirect is none.
pub(crate) async fn ask(
    platform: &impl Platform,
    url: &HttpsUrl,
    roots: Roots<'_>,
    ask: Ask,
) -> Result<PeerResponse, WebError> {
    let (peer, path) = server(url, roots)?;
    let mut headers = vec![
        ("accept".to_owned(), "application/json".to_owned()),
        ("user-agent".to_owned(), USER_AGENT.to_owned()),
    ];
    let own = ask.headers.into_iter();
    headers.extend(own.map(|(name, value)| (name.to_owned(), value)));
    let request = PeerRequest {
        method: ask.method,
        path,
        headers,
        body: ask.body,
        max_response: ask.max_response,
        timeout: TIMEOUT,
    };
    let response = platform.call(&peer, request).await?;
    match response.status {
        300..400 => Err(WebError::Redirected),
        _ => Ok(response),
    }
}

/// Fetches a document.
async fn get(
    platform: &impl Platform,
    url: &HttpsUrl,
    roots: Roots<'_>,
    max_response: usize,
) -> Result<Vec<u8>, WebError> {
    let request = Ask {
        method: "GET",
        headers: Vec::new(),
        body: Vec::new(),
        max_response,
    };
    let response = ask(platform, url, roots, request).await?;
    match response.status {
        200 => Ok(response.body),
        status => Err(WebError::Status(status)),
    }
}
