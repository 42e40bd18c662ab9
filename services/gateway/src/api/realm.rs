//! The realm record, which clients verify and pin.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use keyfold_net::Problem;
use keyfold_protocol::error_code::{Code, ProblemBody};
use keyfold_protocol::gateway_api::path;
use keyfold_protocol::realm::SignedRealmRecord;

use super::{Gateway, problem};

/// The realm record with its holders' signatures. Clients compare its hash with the realm id they
/// pin.
#[utoipa::path(
    get,
    path = path::REALM,
    tag = "realm",
    responses(
        (status = 200, description = "The signed record.", body = SignedRealmRecord),
        (status = "default", description = "A problem: `realm_missing` before genesis, or `rate_limited`.",
            body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn realm(State(gateway): State<Arc<Gateway>>) -> Result<Response, Problem> {
    let json = gateway
        .realm
        .json()
        .ok_or_else(|| problem(Code::RealmMissing))?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "public, max-age=60"),
    ];
    Ok((headers, json).into_response())
}
