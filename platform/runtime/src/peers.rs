//! Requests to holders, guards, servers of the web and the host's store, each over connections that
//! are kept.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use keyfold_enclave::{Peer, PeerError, PeerRequest, PeerResponse, PeerTrust};
use keyfold_net::client::TlsConnector;
use keyfold_net::pipe::EgressConnector;
use keyfold_net::tls::client_config_pinned;
use keyfold_net::{ClientError, ClientLimits, HttpClient, SpkiPin};

use crate::machine::Outbound;
use crate::roots;

/// Most peers that connections are kept for: holders, and one guard for each project.
const MAX_CLIENTS: usize = 256;
/// Most bytes of an answer that are read at all; each request sets a limit of its own below it. The
/// host's store answers with several versions of a record of up to 256 KiB each, in base64.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// The same for a server of the web, which is anybody's.
const MAX_WEB_ANSWER: usize = 256 * 1024;
/// Most connections to one server of the web that are kept.
const MAX_WEB_IDLE: usize = 4;

fn limits() -> ClientLimits {
    ClientLimits {
        max_response_bytes: MAX_ANSWER,
        ..ClientLimits::default()
    }
}

fn web_limits() -> ClientLimits {
    ClientLimits {
        max_response_bytes: MAX_WEB_ANSWER,
        max_idle: MAX_WEB_IDLE,
        ..ClientLimits::default()
    }
}

pub(crate) struct Peers {
    pipe: EgressConnector<Outbound>,
    host: HttpClient,
    pinned: Clients<[u8; 32]>,
    /// By the roots they trust, so that a connection that one project's roots vouch for serves no
    /// other project.
    named: Clients<Option<Arc<str>>>,
}

/// Clients of one kind of trust, each with connections of its own.
struct Clients<K>(Mutex<HashMap<K, HttpClient>>);

impl<K: Eq + Hash> Clients<K> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn get(
        &self,
        key: K,
        make: impl FnOnce(&K) -> Result<HttpClient, PeerError>,
    ) -> Result<HttpClient, PeerError> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = make(&key)?;
        if clients.len() >= MAX_CLIENTS {
            // Kept connections are a convenience: start over rather than grow.
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

impl Peers {
    pub(crate) fn new(outbound: Outbound) -> Self {
        let pipe = EgressConnector::new(outbound);
        let host = HttpClient::new(pipe.clone(), limits());
        Self {
            pipe,
            host,
            pinned: Clients::new(),
            named: Clients::new(),
        }
    }

    pub(crate) async fn call(
        &self,
        peer: &Peer,
        request: PeerRequest,
    ) -> Result<PeerResponse, PeerError> {
        let (client, scheme) = match &peer.trust {
            PeerTrust::HostStore => (self.host.clone(), "http"),
            PeerTrust::TlsSpkiSha256(pin) => (self.pinned(*pin)?, "https"),
            PeerTrust::TlsName { roots_pem } => (self.named(roots_pem.clone())?, "https"),
        };
        let (timeout, max_response) = (request.timeout, request.max_response);
        let uri = format!("{scheme}://{}{}", peer.authority, request.path);
        let method =
            Method::from_bytes(request.method.as_bytes()).map_err(|_| PeerError::Malformed)?;
        let mut message = Request::builder().method(method).uri(uri);
        let json = !request.body.is_empty()
            && !request
                .headers
                .iter()
                .any(|(name, _)| *name == "content-type");
        for (name, value) in request.headers {
            let name = HeaderName::try_from(name).map_err(|_| PeerError::Malformed)?;
            let value = HeaderValue::try_from(value).map_err(|_| PeerError::Malformed)?;
            message = message.header(name, value);
        }
        if json {
            message = message.header(http::header::CONTENT_TYPE, "application/json");
        }
        let message = message
            .body(Bytes::from(request.body))
            .map_err(|_| PeerError::Malformed)?;
        let answer = tokio::time::timeout(timeout, client.send(message))
            .await
            .map_err(|_| PeerError::Timeout)?
            .map_err(|error| classify(&error))?;
        if answer.body().len() > max_response {
            return Err(PeerError::TooLarge);
        }
        Ok(PeerResponse {
            status: answer.status().as_u16(),
            body: answer.into_body().into(),
        })
    }

    fn pinned(&self, pin: [u8; 32]) -> Result<HttpClient, PeerError> {
        self.pinned.get(pin, |pin| {
            let config = client_config_pinned(SpkiPin(*pin)).map_err(|_| PeerError::Unreachable)?;
            let connector = TlsConnector::new(self.pipe.clone(), config);
            Ok(HttpClient::new(connector, limits()))
        })
    }

    fn named(&self, roots_pem: Option<Arc<str>>) -> Result<HttpClient, PeerError> {
        self.named.get(roots_pem, |roots_pem| {
            // No certificate leads to roots that are none.
            let config = roots::client_config(roots_pem.as_deref());
            let config = config.map_err(|_| PeerError::WrongPeer)?;
            let connector = TlsConnector::new(self.pipe.clone(), config);
            Ok(HttpClient::new(connector, web_limits()))
        })
    }
}

fn classify(error: &ClientError) -> PeerError {
    match error {
        ClientError::Connect { source, .. } => {
            let certificate = source
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_)));
            match source.kind() {
                _ if certificate => PeerError::WrongPeer,
                io::ErrorKind::PermissionDenied => PeerError::NotAllowed,
                _ => PeerError::Unreachable,
            }
        }
        ClientError::ConnectTimeout { .. } | ClientError::Timeout { .. } => PeerError::Timeout,
        ClientError::ResponseTooLarge { .. } => PeerError::TooLarge,
        ClientError::Request(_) => PeerError::Malformed,
        _ => PeerError::Unreachable,
    }
}

#[cfg(test)]
mod tests;
