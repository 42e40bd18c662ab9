//! Trees of wallets' configurations, for anybody who knows a root.

use std::sync::Arc;

use alloy_primitives::B256;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use keyfold_net::Problem;
use keyfold_protocol::config::StoredTree;
use keyfold_protocol::error_code::{Code, ProblemBody};
use keyfold_protocol::gateway_api::path;

use super::{Gateway, problem, problem_with};

/// What a root of a wallet's configuration stands for: the configuration, or the sessions, recovery
/// signers or passkey that one of its leaves names. Needs no account. The reader computes the root
/// again.
#[utoipa::path(
    get,
    path = path::TREE,
    tag = "trees",
    params(("root" = String, Path, description = "The root: 0x and 64 hexadecimal digits.")),
    responses(
        (status = 200, description = "The tree. It never changes.", body = StoredTree),
        (status = "default", description = "A problem: `not_found`, `malformed_request` or `rate_limited`.",
            body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn tree(
    State(gateway): State<Arc<Gateway>>,
    Path(root): Path<String>,
) -> Result<Response, Problem> {
    // One spelling for each root, so that a cache keeps it once.
    let parsed: B256 = root
        .parse()
        .ok()
        .filter(|parsed: &B256| parsed.to_string() == root)
        .ok_or_else(|| {
            problem_with(
                Code::MalformedRequest,
                "A root is 0x and 64 hexadecimal digits, in lower case.",
            )
        })?;
    let json = gateway
        .trees
        .get(&parsed)
        .await
        .map_err(|error| Problem::internal(&error))?
        .ok_or_else(|| problem(Code::NotFound))?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, json).into_response())
}
