//! The way to the gateway: the command line's own, and besides it any request at all.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, Uri};
use keyfold_cli::HttpsTransport;
use keyfold_client::{OuterRequest, OuterResponse, Transport, TransportError};
use keyfold_net::client::{TcpConnector, TlsConnector};
use keyfold_net::tls::client_config_pinned;
use keyfold_net::{ClientError, ClientLimits, HttpClient, SpkiPin};

use crate::system::SystemError;

/// HTTP over TLS to a gateway whose key is known, with connections of its own.
#[derive(Debug, Clone)]
pub struct Https {
    authority: String,
    transport: HttpsTransport,
    any: HttpClient,
}

impl Https {
    /// Names the gateway and the pin of its key.
    ///
    /// # Errors
    ///
    /// [`SystemError`].
    pub fn new(authority: &str, pin: SpkiPin) -> Result<Self, SystemError> {
        let failed = "set up TLS to the gateway";
        let name = authority
            .parse()
            .map_err(SystemError::step("name the gateway"))?;
        let config = client_config_pinned(pin).map_err(SystemError::step(failed))?;
        Ok(Self {
            authority: authority.to_owned(),
            transport: HttpsTransport::pinned(name, pin).map_err(SystemError::step(failed))?,
            any: HttpClient::new(
                TlsConnector::new(TcpConnector, config),
                ClientLimits::default(),
            ),
        })
    }

    /// Sends any request, which need not be one that a client would send, and returns whatever is
    /// answered. The host of its URI does not count.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn raw(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let uri: Result<Uri, _> = format!("https://{}{path}", self.authority).parse();
        *request.uri_mut() = uri.map_err(|_| ClientError::Request("no such path"))?;
        self.any.send(request).await
    }
}

#[async_trait]
impl Transport for Https {
    async fn send(&self, request: OuterRequest) -> Result<OuterResponse, TransportError> {
        self.transport.send(request).await
    }
}
