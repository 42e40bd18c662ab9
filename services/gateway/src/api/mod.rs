//! The public API.

mod cookies;
mod cors;
pub(crate) mod discovery;
pub(crate) mod instances;
mod limit;
pub(crate) mod realm;
pub(crate) mod relay;
pub(crate) mod trees;

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use keyfold_net::health::{self, Readiness};
use keyfold_net::limit::ClientIps;
use keyfold_net::{HttpClient, HttpLimits, Problem, harden};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::{MAX_SEALED, path};
use keyfold_protocol::relayer_api;

use crate::config::GatewayConfig;
use crate::enclaves::Enclaves;
use crate::openapi;
use crate::origin::Origins;
use crate::records::{RealmStore, TreeStore};
use limit::Limiter;

/// Largest body of an attestation request: a nonce in JSON.
const MAX_ATTESTATION_REQUEST: usize = 1024;

/// What the handlers share.
pub(crate) struct Gateway {
    pub(crate) enclaves: Arc<Enclaves>,
    pub(crate) realm: RealmStore,
    pub(crate) trees: TreeStore,
    pub(crate) relayer: Option<Relayer>,
    pub(crate) origins: Origins,
    /// Metadata for OpenID libraries, where there is a public address.
    pub(crate) discovery: Option<Bytes>,
}

/// The way to the relayer.
pub(crate) struct Relayer {
    pub(crate) authority: String,
    pub(crate) client: HttpClient,
}

pub(crate) fn router(
    gateway: Arc<Gateway>,
    config: &GatewayConfig,
    readiness: Readiness,
) -> Router {
    let ips = Arc::new(ClientIps::new(config.trusted_proxies.clone()));
    let limit = |rate| {
        from_fn_with_state(
            Arc::new(Limiter::new(Arc::clone(&ips), rate)),
            limit::per_client,
        )
    };
    let limits = &config.rate_limits;
    let origins = gateway.origins.clone();
    let api = Router::new()
        .route(path::REALM, get(realm::realm))
        .route(path::INSTANCES, get(instances::instances))
        .route(path::JWKS, get(instances::jwks))
        .route(path::DISCOVERY, get(discovery::discovery))
        .route(openapi::PATH, get(description))
        .route(path::TRANSACTION, get(relay::transaction))
        .route(path::WALLET, get(relay::wallet))
        .route(path::TREE, get(trees::tree))
        .route(
            path::ATTESTATION,
            post(instances::attestation)
                .layer(DefaultBodyLimit::max(MAX_ATTESTATION_REQUEST))
                .layer(limit(limits.attestations)),
        )
        .route(
            path::OHTTP,
            post(instances::ohttp)
                .layer(DefaultBodyLimit::max(MAX_SEALED))
                .layer(limit(limits.sealed)),
        )
        .route(
            path::TRANSACTIONS,
            post(relay::submit)
                .layer(DefaultBodyLimit::max(relayer_api::MAX_BODY))
                .layer(limit(limits.transactions)),
        )
        // Said here, so that the limits hold for paths that do not exist, too.
        .fallback(async || problem(Code::NotFound))
        .with_state(gateway)
        .layer(from_fn(limit::refuse_large))
        .layer(limit(limits.requests))
        .merge(health::router(readiness))
        .layer(map_response(careful));
    let outermost = HttpLimits {
        max_body_bytes: limit::MAX_DRAINED,
        ..HttpLimits::default()
    };
    let api = harden(api, outermost);
    if origins.is_empty() {
        return api;
    }
    // Outermost, so that pages can read every refusal too.
    api.layer(cors::layer(origins))
}

/// Makes the problem of a code.
pub(crate) fn problem(code: Code) -> Problem {
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut problem = Problem::new(status, code.as_str(), "");
    problem.title = Cow::Borrowed(code.sentence());
    problem
}

/// Makes the problem of a code with what is particular to this occurrence.
pub(crate) fn problem_with(code: Code, detail: impl Into<Cow<'static, str>>) -> Problem {
    let mut problem = problem(code);
    problem.detail = detail.into();
    problem
}

async fn description() -> Response {
    (
        [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, "public, max-age=300"),
        ],
        openapi::json(),
    )
        .into_response()
}

/// Nothing is to be guessed from content, or kept by a cache, unless a handler says so.
async fn careful(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
