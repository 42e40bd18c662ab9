//! What goes around every router before strangers reach it.

mod drain;

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

use crate::problem::{Problem, normalise};

/// Limits on one request.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Bytes of a request's body.
    pub max_body_bytes: usize,
    /// From a request's head to its answer's.
    pub request_timeout: Duration,
    /// Between two pieces of a request's body.
    pub body_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 256 * 1024,
            request_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(10),
        }
    }
}

/// Puts limits, a request id, and problems for everything that goes wrong around a router.
///
/// A panic in a handler becomes a problem with the code `internal`. What a refused request still
/// has to say is read before it is answered, up to 16 MiB, so that the answer arrives. For a route
/// with a larger body, harden it by itself and merge.
pub fn harden(router: Router, limits: HttpLimits) -> Router {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            limits.request_timeout,
        ))
        .layer(RequestBodyTimeoutLayer::new(limits.body_timeout))
        // Ours counts every way of reading a body, so axum's own is switched off.
        .layer(RequestBodyLimitLayer::new(limits.max_body_bytes))
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn(drain::drained))
        .layer(axum::middleware::from_fn(normalise))
}

fn panicked(_panic: Box<dyn Any + Send + 'static>) -> Response {
    // The panic hook has written where; its message may hold anything and is not repeated.
    tracing::error!("a handler panicked");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "Something went wrong here. Try again; if it goes on, report the request id.",
    )
    .into_response()
}
