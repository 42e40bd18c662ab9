//! The way to the gateway, the clock and randomness.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::uri::Authority;
use keyfold_client::{
    Environment, EnvironmentError, OuterRequest, OuterResponse, Transport, TransportError,
};
use keyfold_net::client::{TcpConnector, TlsConnector};
use keyfold_net::tls::{TlsError, client_config_pinned, client_config_with_roots};
use keyfold_net::{ClientError, ClientLimits, HttpClient, SpkiPin};
use keyfold_protocol::ohttp::MAX_ENCAPSULATED_LEN;

use crate::error::chain_of;

/// A signature waits for the guard and for key holders.
const PATIENCE: Duration = Duration::from_secs(60);

/// HTTP over TLS 1.3 to one gateway.
#[derive(Debug, Clone)]
pub struct HttpsTransport {
    authority: Authority,
    client: HttpClient,
}

impl HttpsTransport {
    /// Speaks to a gateway whose TLS key has this pin.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub fn pinned(authority: Authority, pin: SpkiPin) -> Result<Self, TlsError> {
        Ok(Self::new(
            authority,
            TlsConnector::new(TcpConnector, client_config_pinned(pin)?),
        ))
    }

    /// Speaks to a gateway with a certificate for its name under these roots (PEM).
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub fn with_roots(authority: Authority, roots_pem: &[u8]) -> Result<Self, TlsError> {
        let config = client_config_with_roots(roots_pem)?;
        Ok(Self::new(
            authority,
            TlsConnector::new(TcpConnector, config),
        ))
    }

    fn new(authority: Authority, connector: TlsConnector<TcpConnector>) -> Self {
        let limits = ClientLimits {
            request_timeout: PATIENCE,
            max_response_bytes: MAX_ENCAPSULATED_LEN,
            ..ClientLimits::default()
        };
        Self {
            authority,
            client: HttpClient::new(connector, limits),
        }
    }
}

fn unsendable(reason: impl std::fmt::Display) -> TransportError {
    TransportError {
        reason: reason.to_string(),
        may_have_been_sent: false,
        unverified: false,
    }
}

/// Says why there was no answer. What TLS and HTTP say of a broken connection is for programmers.
fn in_words(error: &ClientError) -> String {
    match error {
        _ if error.is_unverified() => {
            "its TLS key or certificate is not what the profile names".to_owned()
        }
        ClientError::Exchange { .. } => error.to_string(),
        error => chain_of(error),
    }
}

#[async_trait]
impl Transport for HttpsTransport {
    async fn send(&self, request: OuterRequest) -> Result<OuterResponse, TransportError> {
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(format!("https://{}{}", self.authority, request.path));
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(content_type) = request.content_type {
            builder = builder.header(CONTENT_TYPE, content_type);
        }
        let sendable = builder
            .body(Bytes::from(request.body))
            .map_err(unsendable)?;
        let answer = self
            .client
            .send(sendable)
            .await
            .map_err(|error| TransportError {
                reason: in_words(&error),
                may_have_been_sent: error.may_have_been_sent(),
                unverified: error.is_unverified(),
            })?;
        let content_type = answer
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .map(|value| value.trim().to_ascii_lowercase());
        Ok(OuterResponse {
            status: answer.status().as_u16(),
            content_type,
            body: answer.into_body().into(),
        })
    }
}

/// The system's clock and generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnvironment;

#[async_trait]
impl Environment for SystemEnvironment {
    fn now_unix_ms(&self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), EnvironmentError> {
        getrandom::fill(bytes).map_err(|_| EnvironmentError)
    }

    async fn sleep_ms(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}
