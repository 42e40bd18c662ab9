//! The inbound pipe: the host's HTTP requests, handed to the application one by one.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use keyfold_enclave::{Enclave, HostRequest, Platform};
use keyfold_net::{HttpLimits, Server, Shutdown, harden};
use keyfold_protocol::gateway_api::MAX_SEALED;
use tokio::net::UnixListener;

/// The port that the host connects to.
pub const INBOUND_PORT: u32 = 5000;

/// Serves the application on the inbound pipe, and does its upkeep, until the shutdown.
pub async fn serve<P: Platform>(
    enclave: Arc<Enclave<P>>,
    listener: UnixListener,
    shutdown: Shutdown,
) {
    // Genesis waits for every holder; all else is much shorter.
    let limits = HttpLimits {
        max_body_bytes: MAX_SEALED,
        request_timeout: Duration::from_secs(60),
        ..HttpLimits::default()
    };
    let upkeep = tokio::spawn({
        let enclave = Arc::clone(&enclave);
        async move { enclave.maintain().await }
    });
    let router = Router::new().fallback(handle::<P>).with_state(enclave);
    Server::new(harden(router, limits))
        .hybrid(listener, INBOUND_PORT, shutdown)
        .await;
    upkeep.abort();
}

async fn handle<P: Platform>(
    State(enclave): State<Arc<Enclave<P>>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let request = HostRequest {
        method: method.as_str().to_owned(),
        path: uri.path().to_owned(),
        body: body.into(),
    };
    let answer = enclave.handle(request).await;
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = axum::http::HeaderValue::from_static(answer.content_type);
    response
        .headers_mut()
        .insert(axum::http::header::CONTENT_TYPE, content_type);
    response
}
