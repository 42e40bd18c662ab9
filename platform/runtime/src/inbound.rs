//! The inbound pipe: the host's HTTP requests, handed to the application one by one.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use keyfold_enclave::{Enclave, HostRequest, HostResponse, Platform};
use keyfold_net::{HttpLimits, Server, Shutdown, harden};
use keyfold_protocol::delivery::SEALED_TEXT_LEN;
use keyfold_protocol::delivery::header::{SEALED_SESSION, SET_SESSION};
use keyfold_protocol::gateway_api::MAX_SEALED;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

/// The port that the host connects to.
pub const INBOUND_PORT: u32 = 5000;
/// Operations at once, also those for which nobody waits any more.
const MAX_UNDER_WAY: u32 = 1024;
/// For such operations when the shutdown begins.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves the application on the inbound pipe, and does its upkeep, until the shutdown.
///
/// An operation that has begun comes to its end, whatever becomes of its connection: cut off between
/// two steps it could leave a wallet half made, or a record that is confirmed and not settled.
pub async fn serve<P: Platform>(
    enclave: Arc<Enclave<P>>,
    listener: UnixListener,
    shutdown: Shutdown,
) {
    serve_on(enclave, |server| {
        server.hybrid(listener, INBOUND_PORT, shutdown)
    })
    .await;
}

/// The same on streams that are for [`INBOUND_PORT`] already, as vsock has them.
pub async fn serve_streams<P, I, A, AF>(enclave: Arc<Enclave<P>>, accept: A, shutdown: Shutdown)
where
    P: Platform,
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn() -> AF,
    AF: Future<Output = io::Result<I>>,
{
    serve_on(enclave, |server| server.streams(accept, shutdown)).await;
}

async fn serve_on<P: Platform, S: Future<Output = ()>>(
    enclave: Arc<Enclave<P>>,
    listen: impl FnOnce(Server) -> S,
) {
    let upkeep = tokio::spawn({
        let enclave = Arc::clone(&enclave);
        async move { enclave.maintain().await }
    });
    let answer = move |request| {
        let enclave = Arc::clone(&enclave);
        async move { enclave.handle(request).await }
    };
    Inbound::new(answer, MAX_UNDER_WAY).serve(listen).await;
    upkeep.abort();
}

struct Inbound<F> {
    answer: F,
    places: Arc<Semaphore>,
    max_under_way: u32,
}

impl<F, A> Inbound<F>
where
    F: Fn(HostRequest) -> A + Send + Sync + 'static,
    A: Future<Output = HostResponse> + Send + 'static,
{
    fn new(answer: F, max_under_way: u32) -> Arc<Self> {
        Arc::new(Self {
            answer,
            places: Arc::new(Semaphore::new(max_under_way as usize)),
            max_under_way,
        })
    }

    async fn serve<S: Future<Output = ()>>(self: Arc<Self>, listen: impl FnOnce(Server) -> S) {
        // Genesis waits for every holder; all else is much shorter.
        let limits = HttpLimits {
            max_body_bytes: MAX_SEALED,
            request_timeout: Duration::from_secs(60),
            ..HttpLimits::default()
        };
        let router = Router::new()
            .fallback(Self::handle)
            .with_state(Arc::clone(&self));
        listen(Server::new(harden(router, limits))).await;
        // All places are free once nothing is under way.
        let idle = self.places.acquire_many(self.max_under_way);
        if tokio::time::timeout(DRAIN_TIMEOUT, idle).await.is_err() {
            tracing::warn!("operations were cut off at shutdown");
        }
    }

    async fn handle(
        State(inbound): State<Arc<Self>>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let Ok(sealed_session) = sealed_session(&headers) else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        let request = HostRequest {
            method: method.as_str().to_owned(),
            path: uri.path().to_owned(),
            sealed_session,
            body: body.into(),
        };
        // It changes nothing, and the host must hear how the enclave is also when that is: full.
        if method == Method::GET {
            return response((inbound.answer)(request).await);
        }
        let Ok(place) = Arc::clone(&inbound.places).try_acquire_owned() else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let answer = (inbound.answer)(request);
        let operation = async move {
            let _place = place;
            answer.await
        };
        match tokio::spawn(operation.in_current_span()).await {
            Ok(answer) => response(answer),
            // It panicked, or the process ends.
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// More than one value, or one that no cookie holds.
struct Ambiguous;

/// Reads what a client's cookie holds, where the host says so, once.
fn sealed_session(headers: &HeaderMap) -> Result<Option<String>, Ambiguous> {
    let mut values = headers.get_all(SEALED_SESSION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() || value.len() > SEALED_TEXT_LEN {
        return Err(Ambiguous);
    }
    let text = value.to_str().map_err(|_| Ambiguous)?;
    Ok(Some(text.to_owned()))
}

fn response(answer: HostResponse) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    if let Some(change) = answer.set_session {
        // Letters, digits and spaces: always a value.
        if let Ok(mut value) = HeaderValue::from_str(&change.to_string()) {
            value.set_sensitive(true);
            response.headers_mut().insert(SET_SESSION, value);
        }
    }
    response
}

#[cfg(test)]
mod tests;
