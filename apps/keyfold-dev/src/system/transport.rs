//! The client's way to the gateway, its clock and its randomness.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::CONTENT_TYPE;
use http::{Request, Uri};
use keyfold_client::{
    Environment, EnvironmentError, OuterRequest, OuterResponse, Transport, TransportError,
};
use keyfold_net::client::{TcpConnector, TlsConnector};
use keyfold_net::tls::{TlsError, client_config_pinned};
use keyfold_net::{ClientLimits, HttpClient, SpkiPin};

/// HTTP over TLS to a gateway whose key is known.
#[derive(Debug, Clone)]
pub struct Https {
    authority: String,
    client: HttpClient,
}

impl Https {
    /// Names the gateway and the pin of its key.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub fn new(authority: impl Into<String>, pin: SpkiPin) -> Result<Self, TlsError> {
        let connector = TlsConnector::new(TcpConnector, client_config_pinned(pin)?);
        let limits = ClientLimits {
            request_timeout: Duration::from_secs(60),
            ..ClientLimits::default()
        };
        Ok(Self {
            authority: authority.into(),
            client: HttpClient::new(connector, limits),
        })
    }

    /// Sends any request to the gateway and returns whatever it answers.
    ///
    /// # Errors
    ///
    /// [`keyfold_net::ClientError`].
    pub async fn raw(
        &self,
        mut request: Request<bytes::Bytes>,
    ) -> Result<http::Response<bytes::Bytes>, keyfold_net::ClientError> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let uri: Result<Uri, _> = format!("https://{}{path}", self.authority).parse();
        *request.uri_mut() = uri.map_err(|_| keyfold_net::ClientError::Request("no such path"))?;
        self.client.send(request).await
    }
}

fn unsendable(reason: impl std::fmt::Display) -> TransportError {
    TransportError {
        reason: reason.to_string(),
        may_have_been_sent: false,
    }
}

#[async_trait::async_trait]
impl Transport for Https {
    async fn send(&self, request: OuterRequest) -> Result<OuterResponse, TransportError> {
        let mut builder = Request::builder()
            .method(request.method.as_str())
            .uri(request.path);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(content_type) = request.content_type {
            builder = builder.header(CONTENT_TYPE, content_type);
        }
        let body = bytes::Bytes::from(request.body);
        let request = builder.body(body).map_err(unsendable)?;
        let answer = self.raw(request).await.map_err(|error| TransportError {
            may_have_been_sent: error.may_have_been_sent(),
            reason: crate::system::chain_of(&error),
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
pub struct Ambient;

#[async_trait::async_trait]
impl Environment for Ambient {
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
