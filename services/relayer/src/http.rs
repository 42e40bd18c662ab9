//! The relayer's HTTP interface.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Method};
use alloy_primitives::Address;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
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
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::config::{RelayerConfig, RelayerError};
use crate::error::RelayError;
use crate::relay::Relayer;
use crate::watch::watch;

const MINUTE: Duration = Duration::from_secs(60);
/// Most characters of a parser's words that are shown.
const MAX_DETAIL: usize = 200;

struct Api {
    relayer: Arc<Relayer>,
    transactions: RateLimit,
    questions: RateLimit,
    clients: ClientIps,
    /// Read by each request that is being taken over; whoever writes has waited for all.
    running: Arc<RwLock<()>>,
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
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| RelayerError::Config(format!("{text} is not a network")))
    });
    let clients = ClientIps::new(proxies.collect::<Result<_, _>>()?);
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
    let running = Arc::new(RwLock::new(()));
    let limits = ServeLimits {
        trusted_proxies: clients.trusted().to_vec(),
        ..ServeLimits::default()
    };
    let api = Arc::new(Api {
        relayer: Arc::clone(&relayer),
        transactions: RateLimit::new(config.limits.requests_per_minute, MINUTE),
        questions: RateLimit::new(config.limits.questions_per_minute, MINUTE),
        clients,
        running: Arc::clone(&running),
    });
    ready(address);
    Server::new(router(api))
        .limits(limits)
        .tls(listener, tls.config(), shutdown)
        .await;
    while watchers.join_next().await.is_some() {}
    // Those whose clients have hung up.
    drop(running.write().await);
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
        .layer(from_fn_with_state(Arc::clone(&api), per_client))
        .with_state(api);
    harden(routes.merge(health::router(readiness)), limits)
}

/// Refuses a client that has used up its requests: most of them cost the node something, too.
async fn per_client(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    if let Some(Peer(Some(peer))) = request.extensions().get::<Peer>() {
        let client = IpKey::of(api.clients.client(peer.ip(), request.headers()));
        let limit = if request.method() == Method::POST {
            &api.transactions
        } else {
            &api.questions
        };
        if let Err(limited) = limit.check(&client) {
            return Problem::rate_limited(limited.retry_after_seconds()).into_response();
        }
    }
    next.run(request).await
}

async fn relay(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<Json<Relayed>, Problem> {
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
    let running = Arc::clone(&api.running).read_owned().await;
    let relayed = async move {
        let _running = running;
        relayer.relay(id, relay).await
    };
    Ok(tokio::spawn(relayed.in_current_span())
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
