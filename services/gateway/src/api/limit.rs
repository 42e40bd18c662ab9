//! What a stranger may send, and how often.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use keyfold_net::Problem;
use keyfold_net::limit::{ClientIps, IpKey, RateLimit};
use keyfold_net::serve::Peer;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::relayer_api;

use super::problem;
use crate::config::Rate;

/// Largest body that is read only to be refused, bytes.
pub(super) const MAX_DRAINED: usize = 16 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Limiter {
    ips: Arc<ClientIps>,
    rate: RateLimit,
}

impl Limiter {
    pub(super) fn new(ips: Arc<ClientIps>, rate: Rate) -> Self {
        let period = Duration::from_secs(u64::from(rate.per_seconds.get()));
        Self {
            ips,
            rate: RateLimit::new(rate.requests, period),
        }
    }
}

/// Whose request it is, as the limits count it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Refuses a client that has used up its requests.
pub(super) async fn per_client(
    State(limiter): State<Arc<Limiter>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = match request.extensions().get::<Peer>() {
        Some(Peer(Some(address))) => address.ip(),
        _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let client = limiter.ips.client(peer, request.headers());
    match limiter.rate.check(&IpKey::of(client)) {
        Ok(()) => {
            request.extensions_mut().insert(ClientAddress(client));
            next.run(request).await
        }
        Err(limited) => problem(Code::RateLimited)
            .retry_after(limited.retry_after_seconds())
            .into_response(),
    }
}

/// Refuses a body that is announced larger than any here may be.
///
/// It is read and thrown away first: most clients write all of it before they look for an answer,
/// and would otherwise see a broken connection instead of the reason.
pub(super) async fn refuse_large(request: Request, next: Next) -> Response {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_none_or(|length| length <= relayer_api::MAX_BODY) {
        return next.run(request).await;
    }
    // Who asks before writing needs no reading.
    if !request.headers().contains_key(EXPECT) {
        let mut body = request.into_body();
        let drain = async { while let Some(Ok(_)) = body.frame().await {} };
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, drain).await;
    }
    too_large().into_response()
}

fn too_large() -> Problem {
    problem(Code::BodyTooLarge)
}
