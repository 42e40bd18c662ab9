//! A JSON body that a registered enclave instance signed.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use keyfold_net::Problem;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::guard_api::MAX_BODY;
use keyfold_protocol::holder_api::INSTANCE_HEADER;
use keyfold_protocol::ids::InstanceId;
use keyfold_protocol::signed_request::{Components, SignedComponents, check_body, verify_instance};
use serde::de::DeserializeOwned;

use super::{Guard, now_ms, problem};

/// A body whose signature by a registered instance verified. Handlers get nothing else.
pub(crate) struct SignedJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Guard>> for SignedJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, guard: &Arc<Guard>) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let body: Bytes = axum::body::to_bytes(body, MAX_BODY)
            .await
            .map_err(|_| problem(Code::BodyTooLarge, None))?;
        let now = now_ms() / 1000;
        let id: InstanceId = header(&head.headers, INSTANCE_HEADER)?
            .parse()
            .map_err(|_| problem(Code::MalformedRequest, None))?;
        let instance = guard
            .instances
            .get(&id, now)
            .ok_or_else(|| problem(Code::NotRegistered, None))?;
        let authority = match head.uri.authority() {
            Some(authority) => authority.to_string(),
            None => header(&head.headers, HOST.as_str())?,
        };
        // What the caller says is checked, or another guard could pass on what it was asked.
        if !guard.is_addressed_as(&authority) {
            return Err(problem(Code::SignatureInvalid, None));
        }
        let signed = SignedComponents {
            components: Components {
                method: head.method.as_str().to_owned(),
                authority,
                path: head.uri.path().to_owned(),
                query: format!("?{}", head.uri.query().unwrap_or_default()),
                content_digest: header(&head.headers, "content-digest")?,
                device: None,
            },
            signature_input: header(&head.headers, "signature-input")?,
            signature: header(&head.headers, "signature")?,
        };
        verify_instance(&signed, &id.to_string(), &instance.signing_key, now)
            .map_err(|_| problem(Code::SignatureInvalid, None))?;
        check_body(&signed.components, &body).map_err(|_| problem(Code::DigestMismatch, None))?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| problem(Code::MalformedRequest, Some(error.to_string())))
    }
}

/// Returns the one value of a header; none or several are refused.
fn header(headers: &HeaderMap, name: &str) -> Result<String, Problem> {
    let mut values = headers.get_all(name).iter();
    match (
        values.next().and_then(|value| value.to_str().ok()),
        values.next(),
    ) {
        (Some(value), None) => Ok(value.to_owned()),
        _ => Err(problem(Code::SignatureMissing, None)),
    }
}
