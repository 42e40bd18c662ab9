//! The enclave instances: which there are, their documents, and the sealed channel to them.
//!
//! # Security
//!
//! Bodies pass byte for byte in both directions. Nothing here reads or logs them, nor what cookies
//! hold.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use keyfold_net::problem::PROBLEM_JSON;
use keyfold_net::{Json, Problem};
use keyfold_protocol::error_code::{Code, ProblemBody};
use keyfold_protocol::gateway_api::{AttestationRequest, Instances, host_path, path};
use keyfold_protocol::ids::InstanceId;
use keyfold_protocol::registration::AttestedBinding;
use serde::de::DeserializeOwned;

use super::cookies::{self, Wanted};
use super::{Gateway, problem, problem_with};
use crate::enclaves::{self, CallError};
use crate::openapi::Sealed;

const OHTTP_REQUEST: &str = "message/ohttp-req";
const OHTTP_RESPONSE: &str = "message/ohttp-res";
const JSON: &str = "application/json";

/// The instances that serve just now. The ids only route; what an instance is, its attestation
/// document says.
#[utoipa::path(
    get,
    path = path::INSTANCES,
    tag = "instances",
    responses(
        (status = 200, description = "Their ids; none while no enclave serves.", body = Instances),
        (status = "default", description = "A problem: `rate_limited`.",
            body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn instances(State(gateway): State<Arc<Gateway>>) -> Json<Instances> {
    Json(Instances {
        instances: gateway.enclaves.serving(),
    })
}

/// An attestation document over the caller's own fresh nonce, with the keys it binds. The caller
/// verifies it; the gateway cannot make one.
#[utoipa::path(
    post,
    path = path::ATTESTATION,
    tag = "instances",
    params(("instance" = InstanceId, Path, description = "From the list of instances.")),
    request_body(content = AttestationRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "The document and its binding.", body = AttestedBinding),
        (status = "default", description = "A problem: `unknown_instance`, `unavailable`, `timeout`, \
            `malformed_json`, `invalid_request`, `body_too_large`, `unsupported_media_type` or `rate_limited`.",
            body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn attestation(
    State(gateway): State<Arc<Gateway>>,
    Path(instance): Path<String>,
    checked: Checked<AttestationRequest>,
) -> Result<Response, Problem> {
    let request = enclaves::post(host_path::ATTESTATION, JSON, checked.bytes);
    let answer = gateway
        .enclaves
        .call(parse(&instance)?, request)
        .await
        .map_err(refusal)?;
    pass(answer, JSON)
}

/// A request sealed to an instance by Oblivious HTTP (RFC 9458). Errors of the request itself come
/// sealed too, with status 200; the problems listed here are about the channel.
#[utoipa::path(
    post,
    path = path::OHTTP,
    tag = "instances",
    params(
        ("instance" = InstanceId, Path, description = "The instance whose key it is sealed to."),
        ("keyfold-cookie" = Option<String>, Header, description = "Where the session's attestation is \
            in a cookie, which: 16 hexadecimal digits, which follow `__Host-keyfold-` in its name. Its \
            value goes to the instance beside the request. Cookies count for the origins that the \
            operator lists; no cookie does anything without a request that the device signed."),
    ),
    request_body(content = Sealed, content_type = "message/ohttp-req",
        description = "An encapsulated request, at most 131072 bytes."),
    responses(
        (status = 200, description = "The encapsulated response.", body = Sealed,
            content_type = "message/ohttp-res",
            headers(("set-cookie" = String, description = "Where the instance asks for it: the \
                sealed attestation as a cookie that is Secure, HttpOnly, SameSite=None and Partitioned, \
                or its end."))),
        (status = "default", description = "A problem: `unknown_key` or `unknown_instance` (verify again and \
            repeat under the same request id), `seal_broken`, `unavailable`, `timeout`, `body_too_large`, \
            `malformed_request` (the cookie), `unsupported_media_type` or `rate_limited`.",
            body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn ohttp(
    State(gateway): State<Arc<Gateway>>,
    Path(instance): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    if media_type(&headers) != Some(OHTTP_REQUEST) {
        return Err(problem_with(
            Code::UnsupportedMediaType,
            "Send the sealed request with Content-Type: message/ohttp-req.",
        ));
    }
    let cookies_count = gateway.origins.allow_cookies(&headers);
    let mut request = enclaves::post(host_path::OHTTP, OHTTP_REQUEST, body);
    if cookies_count && let Some(sealed) = cookies::named(&headers)? {
        cookies::beside(request.headers_mut(), &sealed);
    }
    let answer = gateway
        .enclaves
        .call(parse(&instance)?, request)
        .await
        .map_err(refusal)?;
    let change = match cookies::wanted(answer.headers()) {
        Wanted::Nothing => None,
        Wanted::Change(change) => Some(change),
        Wanted::Unreadable => {
            tracing::error!("a cookie that cannot be passed on");
            return Err(problem(Code::Unavailable));
        }
    };
    let mut response = pass(answer, OHTTP_RESPONSE)?;
    if let Some(change) = change.filter(|_| cookies_count) {
        cookies::apply(&change, &mut response);
    }
    Ok(response)
}

/// The keys of session attestations as a JWK set, for apps that verify them.
#[utoipa::path(
    get,
    path = path::JWKS,
    tag = "realm",
    responses(
        (status = 200, description = "A JWK set (RFC 7517).", body = serde_json::Value),
        (status = "default", description = "A problem: `unavailable`, `timeout` or `rate_limited`.",
            body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn jwks(State(gateway): State<Arc<Gateway>>) -> Result<Response, Problem> {
    let request = enclaves::get(host_path::JWKS);
    let answer = gateway.enclaves.call_any(request).await.map_err(refusal)?;
    let mut response = pass(answer, JSON)?;
    if response.status().is_success() {
        let headers = response.headers_mut();
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=60"),
        );
    }
    Ok(response)
}

/// A JSON body that has the shape of `T`, passed on as the bytes it came in.
pub(crate) struct Checked<T> {
    pub(crate) bytes: Bytes,
    shape: PhantomData<fn() -> T>,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Checked<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let headers = request.headers().clone();
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(axum::response::IntoResponse::into_response)?;
        let mut again = Request::new(Body::from(bytes.clone()));
        *again.headers_mut() = headers;
        let Json(_) = Json::<T>::from_request(again, state)
            .await
            .map_err(axum::response::IntoResponse::into_response)?;
        Ok(Self {
            bytes,
            shape: PhantomData,
        })
    }
}

fn parse(instance: &str) -> Result<InstanceId, Problem> {
    instance.parse().map_err(|_| problem(Code::UnknownInstance))
}

fn refusal(error: CallError) -> Problem {
    match error {
        CallError::UnknownInstance => problem(Code::UnknownInstance),
        CallError::Unavailable => problem(Code::Unavailable).retry_after(1),
        CallError::Timeout => problem(Code::Timeout),
    }
}

/// Passes an answer on: the expected type or a problem, and no header but those that belong to it.
pub(super) fn pass(
    answer: http::Response<Bytes>,
    expected: &'static str,
) -> Result<Response, Problem> {
    let found = media_type(answer.headers());
    let media = [expected, PROBLEM_JSON]
        .into_iter()
        .find(|media| found == Some(media));
    // An error without a reason is no answer either.
    let Some(media) = media.filter(|m| *m == PROBLEM_JSON || answer.status().is_success()) else {
        tracing::error!(
            status = answer.status().as_u16(),
            "an answer that cannot be passed on"
        );
        return Err(problem(Code::Unavailable));
    };
    let (head, body) = answer.into_parts();
    let mut response = (head.status, [(CONTENT_TYPE, media)], body).into_response();
    if let Some(after) = head.headers.get(RETRY_AFTER) {
        response.headers_mut().insert(RETRY_AFTER, after.clone());
    }
    Ok(response)
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or(value).trim())
}
