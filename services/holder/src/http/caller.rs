//! The signature of the calling instance: RFC 9421, profile `Instance`.

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::HeaderMap;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{INSTANCE_HEADER, MAX_BODY};
use keyfold_protocol::ids::InstanceId;
use keyfold_protocol::signed_request::{
    Components, SignatureError, SignedComponents, check_body, verify_instance,
};

use crate::error::{ApiError, Coded};
use crate::holder::Holder;
use crate::member::Caller;

/// Says why a call is not one of a registered instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallerRefusal {
    #[error("the call lacks the header {0}")]
    Missing(&'static str),
    #[error("the instance has no registration here; register again")]
    NotRegistered,
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl Coded for CallerRefusal {
    fn code(&self) -> Code {
        match self {
            Self::Missing(_) => Code::SignatureMissing,
            Self::NotRegistered => Code::NotRegistered,
            Self::Signature(SignatureError::Expired) => Code::SignatureExpired,
            Self::Signature(SignatureError::DigestMismatch) => Code::DigestMismatch,
            Self::Signature(_) => Code::SignatureInvalid,
        }
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
    let id: InstanceId = header(&parts.headers, INSTANCE_HEADER)?
        .parse()
        .map_err(|_| CallerRefusal::NotRegistered)?;
    let now_ms = holder.now_ms();
    let instance = holder
        .registry()
        .find(id, now_ms)
        .ok_or(CallerRefusal::NotRegistered)?;
    let signed = SignedComponents {
        components: Components {
            method: parts.method.as_str().to_owned(),
            authority: holder.card().address.clone(),
            path: parts.uri.path().to_owned(),
            query: format!("?{}", parts.uri.query().unwrap_or_default()),
            content_digest: header(&parts.headers, "content-digest")?.to_owned(),
            device: None,
        },
        signature_input: header(&parts.headers, "signature-input")?.to_owned(),
        signature: header(&parts.headers, "signature")?.to_owned(),
    };
    verify_instance(
        &signed,
        &id.to_string(),
        &instance.signing_key,
        now_ms / 1000,
    )
    .map_err(CallerRefusal::Signature)?;
    let body = read_body(body).await?;
    check_body(&signed.components, &body).map_err(CallerRefusal::Signature)?;
    Ok((Caller::authenticated(instance, holder.realm()), body))
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, CallerRefusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) => Ok(value),
        _ => Err(CallerRefusal::Missing(name)),
    }
}

/// Reads a body of at most [`MAX_BODY`] bytes.
pub(super) async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| ApiError::code(Code::BodyTooLarge))
}
