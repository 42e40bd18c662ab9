//! The signature of the calling instance: RFC 9421, profile `Instance`.

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::HeaderMap;
use keyfold_net::BodyError;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::MAX_BODY;
use keyfold_protocol::registry::{CallHead, CallerRefusal};

use crate::error::{ApiError, Coded};
use crate::holder::Holder;
use crate::member::Caller;

impl Coded for CallerRefusal {
    fn code(&self) -> Code {
        Self::code(self)
    }
}

/// Verifies who calls, and returns the body that was signed.
///
/// # Security
///
/// The authority that must be signed is the holder's own address as its card says, not what the
/// call's `Host` says, so a call to one holder is none to another. A stranger is refused before
/// its body is read.
pub(super) async fn authenticate(
    holder: &Holder,
    request: Request,
) -> Result<(Caller, Bytes), ApiError> {
    let (parts, body) = request.into_parts();
    let call = CallHead {
        method: parts.method.as_str(),
        authority: &holder.card().address,
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
    };
    let header = |name| header(&parts.headers, name);
    let signed = holder
        .registry()
        .authenticate(call, header, holder.now_ms())?;
    let body = read_body(body).await?;
    let instance = signed.with_body(&body)?;
    Ok((Caller::authenticated(instance, holder.realm()), body))
}

/// Returns the one value of a header; none or several are refused.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) => Some(value),
        _ => None,
    }
}

/// Reads a body of at most [`MAX_BODY`] bytes.
pub(super) async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    let body = keyfold_net::read_body(body, MAX_BODY).await;
    body.map_err(|error| match error {
        BodyError::TooLarge => ApiError::code(Code::BodyTooLarge),
        BodyError::Broken => ApiError::code(Code::BadRequest),
    })
}
