//! Every process that listens, spoken to directly.

use std::time::Duration;

use keyfold_client::Client;
use keyfold_gateway_service::GatewayConfig;
use keyfold_net::client::{TcpConnector, TlsConnector};
use keyfold_net::tls::client_config_pinned;
use keyfold_net::{ClientLimits, HttpClient, SpkiPin};
use keyfold_protocol::holder_api;
use keyfold_testkit::system::{Ambient, System, new_key};
use serde_json::Value;

/// An answer, whatever it is.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// HTTP status; 0 where there was no answer.
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// The problem's code; empty where it is none.
    pub(crate) code: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: String, body: Vec<u8>) -> Self {
        let problem: Option<Value> = (content_type == "application/problem+json")
            .then(|| serde_json::from_slice(&body).ok())
            .flatten();
        let code = problem
            .as_ref()
            .and_then(|problem| problem.get("code")?.as_str())
            .unwrap_or_default()
            .to_owned();
        Self {
            status,
            content_type,
            code,
            body,
        }
    }

    pub(crate) fn of(answer: &http::Response<bytes::Bytes>) -> Self {
        let content_type = answer.headers().get("content-type");
        let content_type = content_type
            .and_then(|value| value.to_str().ok()?.split(';').next())
            .unwrap_or_default();
        Self::new(
            answer.status().as_u16(),
            content_type.to_owned(),
            answer.body().to_vec(),
        )
    }

    pub(crate) fn broken(error: &keyfold_net::ClientError) -> Self {
        let text = keyfold_testkit::system::chain_of(error);
        Self::new(0, String::new(), text.into_bytes())
    }

    /// Status and code, or the beginning of what it is instead.
    pub(crate) fn summary(&self) -> String {
        if self.code.is_empty() {
            let body = String::from_utf8_lossy(&self.body);
            let body: String = body.chars().take(120).collect();
            format!("{} {} {body:?}", self.status, self.content_type)
        } else {
            format!("{} {}", self.status, self.code)
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A process that listens.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) name: String,
    authority: String,
    client: HttpClient,
}

impl Edge {
    fn new(name: &str, authority: &str, pin: SpkiPin) -> Self {
        let tls = client_config_pinned(pin).unwrap();
        let limits = ClientLimits {
            request_timeout: Duration::from_secs(60),
            ..ClientLimits::default()
        };
        Self {
            name: name.to_owned(),
            authority: authority.to_owned(),
            client: HttpClient::new(TlsConnector::new(TcpConnector, tls), limits),
        }
    }

    pub(crate) fn gateway(system: &System) -> Self {
        Self::new("gateway", system.gateway(), system.gateway_pin())
    }

    pub(crate) fn guard(system: &System) -> Self {
        let guard = system.project().guard.as_ref().unwrap();
        let pin = SpkiPin(*guard.tls_spki_sha256.as_bytes());
        Self::new("guard", &guard.address, pin)
    }

    pub(crate) fn relayer(system: &System) -> Self {
        let file = system.files().gateway().join("gateway.toml");
        let relayer = GatewayConfig::load(&file).unwrap().relayer.unwrap();
        Self::new("relayer", &relayer.address.to_string(), relayer.spki_sha256)
    }

    pub(crate) async fn holders(system: &System) -> Vec<Self> {
        let pin = system.pin().clone();
        let transport = system.transport().unwrap();
        let client = Client::new(pin, transport, new_key(), Ambient);
        let realm = client.realm().await.unwrap();
        let cards = &realm.record().holders;
        cards
            .iter()
            .map(|card| {
                let pin = SpkiPin(*card.tls_spki_sha256.as_bytes());
                Self::new(&card.name, &card.address, pin)
            })
            .collect()
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Reply {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("https://{}{path}", self.authority));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match self.client.send(request.body(body.into()).unwrap()).await {
            Ok(answer) => Reply::of(&answer),
            Err(error) => Reply::broken(&error),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    /// Entries in a holder's log.
    pub(crate) async fn log_size(&self) -> u64 {
        let reply = self.get(holder_api::path::CHECKPOINT).await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        let size = text.lines().nth(1).and_then(|line| line.parse().ok());
        size.unwrap_or_else(|| panic!("{} has no checkpoint: {}", self.name, reply.summary()))
    }
}

/// Entries in the logs of all holders.
pub(crate) async fn log_sizes(holders: &[Edge]) -> Vec<u64> {
    let mut sizes = Vec::new();
    for holder in holders {
        sizes.push(holder.log_size().await);
    }
    sizes
}
