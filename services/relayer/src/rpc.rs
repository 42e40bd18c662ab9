//! JSON-RPC over HTTP.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::http::header::{ACCEPT, CONTENT_TYPE};
use ::http::{Request, Uri};
use bytes::Bytes;
use keyfold_chain::node::RECEIPT_METHOD;
use keyfold_chain::rpc::{decode_answer, encode_call};
use keyfold_chain::{Rpc, RpcError};
use keyfold_net::client::{TcpConnector, TlsConnector};
use keyfold_net::tls::client_config_with_roots;
use keyfold_net::{ClientError, ClientLimits, HttpClient};
use serde_json::Value;

use crate::config::{ChainConfig, RelayerError};

const JSON: &str = "application/json";
/// Largest receipt, bytes. With 375 gas a log, five million gas make one of about 8 MiB.
const MAX_RECEIPT: usize = 16 * 1024 * 1024;

/// A node reached by HTTP.
#[derive(Debug)]
pub(crate) struct HttpRpc {
    client: HttpClient,
    receipts: HttpClient,
    url: Uri,
    next_id: AtomicU64,
}

impl HttpRpc {
    pub(crate) fn new(config: &ChainConfig) -> Result<Self, RelayerError> {
        let limits = ClientLimits {
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(10),
            ..ClientLimits::default()
        };
        let larger = ClientLimits {
            max_response_bytes: MAX_RECEIPT,
            ..limits
        };
        let [client, receipts] = if config.rpc_url.is_https() {
            let path = config.rpc_roots.as_ref().ok_or_else(|| {
                RelayerError::Config(format!(
                    "the node of chain {} is behind https://; name its roots in rpc_roots",
                    config.chain_id
                ))
            })?;
            let roots = std::fs::read(path)
                .map_err(RelayerError::io(format!("cannot read {}", path.display())))?;
            let connector = || -> Result<_, RelayerError> {
                let tls = client_config_with_roots(&roots)?;
                Ok(TlsConnector::new(TcpConnector, tls))
            };
            [
                HttpClient::new(connector()?, limits),
                HttpClient::new(connector()?, larger),
            ]
        } else {
            [limits, larger].map(|limits| HttpClient::new(TcpConnector, limits))
        };
        let url = config.rpc_url.as_str().parse().map_err(|_| {
            RelayerError::Config(format!("the node of chain {} has no URL", config.chain_id))
        })?;
        Ok(Self {
            client,
            receipts,
            url,
            next_id: AtomicU64::new(1),
        })
    }
}

impl Rpc for HttpRpc {
    async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, JSON)
            .header(ACCEPT, JSON)
            .body(Bytes::from(encode_call(id, method, &params)))
            .map_err(|error| RpcError::Unreachable(Box::new(error)))?;
        let client = if method == RECEIPT_METHOD {
            &self.receipts
        } else {
            &self.client
        };
        let response = client.send(request).await.map_err(|error| match error {
            // The node is there; this answer is of no use.
            ClientError::ResponseTooLarge { .. } => RpcError::Malformed("longer than is read"),
            error => RpcError::Unreachable(Box::new(error)),
        })?;
        // Some nodes send JSON-RPC errors under an HTTP error: the body decides.
        decode_answer(id, response.body()).inspect_err(|error| {
            let status = response.status().as_u16();
            tracing::debug!(method, status, %error, "a node gave no result");
        })
    }
}
