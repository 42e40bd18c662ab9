//! The relayer's HTTP interface.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderMap;
use alloy_primitives::Address;
use axum::Router;
use axum::extract::{Extension, Path, State};
use axum::routing::{get, post};
use ipnet::IpNet;
use keyfold_net::health::{self, Readiness};
use keyfold_net::limit::{ClientIps, IpKey, RateLimit};
use keyfold_net::serve::Peer;
use keyfold_net::{HttpLimits, Json, Problem, ServeLimits, Server, ServerTls, Shutdown, harden};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::relayer_api::{IDEMPOTENCY_HEADER, MAX_BODY, Relay, Relayed, WalletOnChain};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::config::{RelayerConfig, RelayerError};
use crate::error::RelayError;
use crate::relay::Relayer;
use crate::watch::watch;

const MINUTE: Duration = Duration::from_secs(60);
/// Most characters of a parser's words that are shown.
const MAX_DETAIL: usize = 200;

struct Api {
    relayer: Arc<Relayer>,
    limit: RateLimit,
    clients: ClientIps,
}

/// Serves until the shutdown. What was taken over before is looked after from the start.
///
/// # Errors
///
/// [`RelayerError`] if it cannot start. A node that does not answer is no reason not to.
pub async fn run(
    config: RelayerConfig,
    ready: impl FnOnce(SocketAddr),
    shutdown: Shutdown,
) -> Result<(), RelayerError> {
    let tls = ServerTls::load(&config.data)?;
    let proxies = config.limits.trusted_proxies.iter().map(|text| {
        text.parse::<IpNet>()
            .map_err(|_| RelayerError::Config(format!("{text} is not a network")))
    });
    let clients = ClientIps::new(proxies.collect::<Result<_, _>>()?);
    let limit = RateLimit::new(config.limits.requests_per_minute, MINUTE);
    let relayer = Arc::new(Relayer::open(&config).await?);
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(RelayerError::io(format!(
            "cannot listen on {}",
            config.listen
        )))?;
    let address = listener
        .local_addr()
        .map_err(RelayerError::io("no local address"))?;

    let mut watchers = JoinSet::new();
    for chain in relayer.chains.values() {
        watchers.spawn(watch(
            Arc::clone(&relayer),
            Arc::clone(chain),
            shutdown.clone(),
        ));
    }
    let limits = ServeLimits {
        trusted_proxies: clients.trusted().to_vec(),
        ..ServeLimits::default()
    };
    let api = Arc::new(Api {
        relayer: Arc::clone(&relayer),
        limit,
        clients,
    });
    ready(address);
    Server::new(router(api))
        .limits(limits)
        .tls(listener, tls.config(), shutdown)
        .await;
    while watchers.join_next().await.is_some() {}
    relayer.store.close().await;
    Ok(())
}

fn router(api: Arc<Api>) -> Router {
    let readiness = Readiness::new();
    readiness.set(true);
    let limits = HttpLimits {
        max_body_bytes: MAX_BODY,
        ..HttpLimits::default()
    };
    let routes = Router::new()
        .route("/v1/transactions", post(relay))
        .route("/v1/transactions/{id}", get(status))
        .route("/v1/chains/{chain}/wallets/{address}", get(wallet))
        .with_state(api);
    harden(routes.merge(health::router(readiness)), limits)
}

async fn relay(
    State(api): State<Arc<Api>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<Json<Relayed>, Problem> {
    if let Some(peer) = peer {
        let client = api.clients.client(peer.ip(), &headers);
        api.limit
            .check(&IpKey::of(client))
            .map_err(|limited| Problem::rate_limited(limited.retry_after_seconds()))?;
    }
    let id = request_id(&headers)?;
    let relay: Relay = serde_json::from_slice(&body).map_err(|error| {
        let words: String = error
            .to_string()
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_DETAIL)
            .collect();
        malformed(format!("The body is not a relay request: {words}."))
    })?;
    // A task of its own: a client that hangs up does not leave it half done.
    let relayer = Arc::clone(&api.relayer);
    let relayed = tokio::spawn(async move { relayer.relay(id, relay).await });
    Ok(relayed
        .await
        .map_err(|error| Problem::internal(&error))?
        .map(Json)?)
}

async fn status(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Relayed>, Problem> {
    let id = parse(
        &id,
        "The path must name a request id: 32 hex digits, lower case.",
    )?;
    Ok(api.relayer.status(id).await.map(Json)?)
}

async fn wallet(
    State(api): State<Arc<Api>>,
    Path((chain, address)): Path<(String, String)>,
) -> Result<Json<WalletOnChain>, Problem> {
    let chain = parse(&chain, "The path must name a chain id.")?;
    let address: Address = parse(
        &address,
        "The path must name an address: 0x and 40 hex digits.",
    )?;
    Ok(api.relayer.wallet(chain, address).await.map(Json)?)
}

fn request_id(headers: &HeaderMap) -> Result<RequestId, Problem> {
    let words = "Send one idempotency-key header: 32 random hex digits, lower case.";
    let mut values = headers.get_all(IDEMPOTENCY_HEADER).iter();
    match (
        values.next().and_then(|value| value.to_str().ok()),
        values.next(),
    ) {
        (Some(text), None) => parse(text, words),
        _ => Err(malformed(words)),
    }
}

fn parse<T: FromStr>(text: &str, words: &'static str) -> Result<T, Problem> {
    text.parse().map_err(|_| malformed(words))
}

fn malformed(detail: impl Into<String>) -> Problem {
    RelayError::refused(Code::MalformedRequest, detail).into()
}
