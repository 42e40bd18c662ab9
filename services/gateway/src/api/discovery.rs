//! Where OpenID libraries look for the keys of ID tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use keyfold_net::Problem;
use keyfold_protocol::error_code::{Code, ProblemBody};
use keyfold_protocol::gateway_api::path;
use keyfold_protocol::session::Issuer;
use serde_json::json;

use super::{Gateway, problem};

/// What OpenID libraries read to verify ID tokens: the issuer, and where its keys are. Nobody can be
/// sent here to sign in, so it names no endpoint for that.
#[utoipa::path(
    get,
    path = path::DISCOVERY,
    tag = "realm",
    responses(
        (status = 200, description = "Metadata (OpenID Connect Discovery 1.0 section 3).", body = serde_json::Value),
        (status = "default", description = "A problem: `not_found` where the gateway's operator named no public \
            address, or `rate_limited`.",
            body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn discovery(State(gateway): State<Arc<Gateway>>) -> Result<Response, Problem> {
    let metadata = gateway
        .discovery
        .clone()
        .ok_or_else(|| problem(Code::NotFound))?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "public, max-age=300"),
    ];
    Ok((headers, metadata).into_response())
}

/// The metadata of an issuer.
pub(crate) fn metadata(issuer: &Issuer) -> Bytes {
    let metadata = json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}{}", path::JWKS),
        // Which of the two a realm signs with, its keys say.
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "subject_types_supported": ["pairwise"],
        "response_types_supported": ["id_token"],
        "grant_types_supported": [],
        "scopes_supported": ["openid"],
        "claims_supported": [
            "iss", "aud", "sub", "nonce", "auth_time", "amr", "acr", "sid", "iat", "exp", "jti",
        ],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    });
    metadata.to_string().into()
}
