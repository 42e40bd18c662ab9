//! What goes on to the relayer.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, Method, Request};
use axum::response::Response;
use bytes::Bytes;
use keyfold_net::{ClientError, Problem};
use keyfold_protocol::error_code::{Code, ProblemBody};
use keyfold_protocol::gateway_api::path;
use keyfold_protocol::ids::{AddressId, RequestId};
use keyfold_protocol::relayer_api::{IDEMPOTENCY_HEADER, Relay, Relayed, WalletOnChain};

use super::instances::{Checked, pass};
use super::limit::ClientAddress;
use super::{Gateway, problem, problem_with};

const JSON: &str = "application/json";
/// For whom the gateway asks. The relayer believes it where its operator named the gateway; else it
/// sees one client, which any stranger's requests use up.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Sends a wallet's signed call to its chain, deploying the wallet on first use. Asking twice with
/// one key sends once.
#[utoipa::path(
    post,
    path = path::TRANSACTIONS,
    tag = "transactions",
    params(("idempotency-key" = RequestId, Header, description = "Names this request; 32 hexadecimal digits, random.")),
    request_body(content = Relay, content_type = "application/json"),
    responses(
        (status = 200, description = "Taken over; ask again for how far it has come.", body = Relayed),
        (status = "default", description = "A problem: `call_reverts`, `chain_unknown`, `contracts_missing`, `chain_unavailable`, \
            `idempotency_conflict`, `payload_invalid`, `malformed_request`, `malformed_json`, `invalid_request`, \
            `body_too_large`, `unsupported_media_type`, `unavailable`, `timeout` or `rate_limited`.",
            body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn submit(
    State(gateway): State<Arc<Gateway>>,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
    checked: Checked<Relay>,
) -> Result<Response, Problem> {
    let key: RequestId = headers
        .get(IDEMPOTENCY_HEADER)
        .and_then(|key| key.to_str().ok()?.parse().ok())
        .ok_or_else(|| {
            problem_with(
                Code::MalformedRequest,
                "The header idempotency-key must have 32 hexadecimal digits.",
            )
        })?;
    let mut request = Request::new(checked.bytes);
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(JSON));
    if let Ok(value) = http::HeaderValue::from_str(&key.to_string()) {
        headers.insert(HeaderName::from_static(IDEMPOTENCY_HEADER), value);
    }
    call(&gateway, client, request, path::TRANSACTIONS).await
}

/// How far a transaction has come.
#[utoipa::path(
    get,
    path = path::TRANSACTION,
    tag = "transactions",
    params(("id" = RequestId, Path, description = "The idempotency key it was sent with.")),
    responses(
        (status = 200, description = "Its state.", body = Relayed),
        (status = "default", description = "A problem: `transaction_unknown`, `chain_unavailable`, \
            `malformed_request`, `unavailable`, `timeout` or `rate_limited`.",
            body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn transaction(
    State(gateway): State<Arc<Gateway>>,
    Extension(client): Extension<ClientAddress>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: RequestId = id.parse().map_err(|_| {
        problem_with(
            Code::MalformedRequest,
            "The id of a transaction has 32 hexadecimal digits.",
        )
    })?;
    let target = path::TRANSACTION.replace("{id}", &id.to_string());
    call(&gateway, client, Request::new(Bytes::new()), &target).await
}

/// What a chain knows of a wallet, as the relayer's node tells it.
#[utoipa::path(
    get,
    path = path::WALLET,
    tag = "transactions",
    params(
        ("chain" = u64, Path, description = "The chain id."),
        ("address" = String, Path, description = "The wallet's address: 0x and 40 hexadecimal digits."),
    ),
    responses(
        (status = 200, description = "Code, nonce and balance.", body = WalletOnChain),
        (status = "default", description = "A problem: `chain_unknown`, `chain_unavailable`, \
            `malformed_request`, `unavailable`, `timeout` or `rate_limited`.",
            body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn wallet(
    State(gateway): State<Arc<Gateway>>,
    Extension(client): Extension<ClientAddress>,
    Path((chain, address)): Path<(String, String)>,
) -> Result<Response, Problem> {
    // Parsed and written again, so that nothing of the caller's text reaches the relayer's URL.
    let chain: u64 = chain.parse().map_err(|_| {
        problem_with(
            Code::MalformedRequest,
            "The chain must be a decimal number.",
        )
    })?;
    let digits = address.strip_prefix("0x").unwrap_or(&address);
    let address: AddressId = digits.to_ascii_lowercase().parse().map_err(|_| {
        problem_with(
            Code::MalformedRequest,
            "The address must be 0x and 40 hexadecimal digits.",
        )
    })?;
    let target = path::WALLET
        .replace("{chain}", &chain.to_string())
        .replace("{address}", &format!("0x{address}"));
    call(&gateway, client, Request::new(Bytes::new()), &target).await
}

async fn call(
    gateway: &Gateway,
    ClientAddress(client): ClientAddress,
    mut request: Request<Bytes>,
    target: &str,
) -> Result<Response, Problem> {
    let relayer = gateway
        .relayer
        .as_ref()
        .ok_or_else(|| problem_with(Code::NotFound, "This gateway has no relayer."))?;
    *request.uri_mut() = format!("https://{}{target}", relayer.authority)
        .parse()
        .map_err(|error: http::uri::InvalidUri| Problem::internal(&error))?;
    let client = http::HeaderValue::from_str(&client.to_string())
        .map_err(|error| Problem::internal(&error))?;
    request.headers_mut().insert(FORWARDED_FOR, client);
    let answer = relayer.client.send(request).await.map_err(|error| {
        tracing::warn!(%error, "the relayer did not answer");
        match error {
            ClientError::Timeout { .. } => problem(Code::Timeout),
            _ => problem_with(
                Code::Unavailable,
                "The relayer does not answer; repeating under the same idempotency key is safe.",
            ),
        }
    })?;
    pass(answer, JSON)
}
