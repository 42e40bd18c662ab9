//! Which web pages may read answers, and with cookies.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, Method};
use keyfold_protocol::relayer_api::IDEMPOTENCY_HEADER;
use tower_http::cors::{AllowCredentials, AllowOrigin, CorsLayer, Vary};

use super::cookies::NAMED;
use crate::origin::Origins;

/// How long a browser need not ask again: ten minutes.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Lets the pages of the origins on the list read answers, with cookies; other pages get no such
/// header, so that their browsers show them nothing.
///
/// # Security
///
/// Keeps answers from pages, not requests from the gateway: a page cannot send a sealed request
/// without asking here first (its media type is none that a form has), and one that is sent does
/// nothing unless the device signed it.
pub(super) fn layer(origins: Origins) -> CorsLayer {
    let origins = Arc::new(origins);
    let listed = Arc::clone(&origins);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| {
            origins.allow(origin)
        }))
        .allow_credentials(AllowCredentials::predicate(move |origin, _| {
            listed.allow(origin)
        }))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            CONTENT_TYPE,
            HeaderName::from_static(IDEMPOTENCY_HEADER),
            NAMED,
        ])
        .expose_headers([RETRY_AFTER, HeaderName::from_static("x-request-id")])
        .max_age(MAX_AGE)
        .vary(Vary::list([axum::http::header::ORIGIN]))
}
