//! A JSON body that a registered enclave instance signed.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use keyfold_net::{BodyError, Problem, read_body};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::guard_api::MAX_BODY;
use keyfold_protocol::registry::{CallHead, CallerRefusal};
use serde::de::DeserializeOwned;

use super::{Guard, now_ms, problem};

/// A body whose signature by a registered instance verified. Handlers get nothing else.
pub(crate) struct SignedJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Guard>> for SignedJson<T> {
    type Rejection = Problem;

    /// The body is read last: a stranger's is not worth its memory.
    async fn from_request(request: Request, guard: &Arc<Guard>) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let authority = match head.uri.authority() {
            Some(authority) => authority.as_str(),
            None => header(&head.headers, HOST.as_str())
                .ok_or_else(|| problem(Code::SignatureMissing, None))?,
        };
        // What the caller says is checked, or another guard could pass on what it was asked.
        if !guard.is_addressed_as(authority) {
            return Err(problem(Code::SignatureInvalid, None));
        }
        let call = CallHead {
            method: head.method.as_str(),
            authority,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
        };
        let header = |name| header(&head.headers, name);
        let signed = guard
            .registry
            .authenticate(call, header, now_ms())
            .map_err(refused)?;
        let body = read_body(body, MAX_BODY)
            .await
            .map_err(|error| match error {
                BodyError::TooLarge => problem(Code::BodyTooLarge, None),
                BodyError::Broken => problem(Code::BadRequest, None),
            })?;
        let _instance = signed.with_body(&body).map_err(refused)?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| problem(Code::MalformedRequest, Some(error.to_string())))
    }
}

fn refused(refusal: CallerRefusal) -> Problem {
    problem(refusal.code(), None)
}

/// Returns the one value of a header; none or several are refused.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) => Some(value),
        _ => None,
    }
}
