//! The cookies in which browsers keep sealed attestations.
//!
//! # Security
//!
//! A value is sealed to the realm and says nothing to the gateway; all have one length. The client
//! names the cookie that goes with a request, so one that a browser sends by itself is not looked
//! at. Nothing here is logged, and the values are marked as sensitive.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use keyfold_net::Problem;
use keyfold_protocol::delivery::{COOKIE_PREFIX, CookieChange, SealedSession, header};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::CookieSlot;

use super::problem_with;

/// Which cookie a client names, to the gateway alone.
pub(crate) const NAMED: HeaderName = HeaderName::from_static(header::COOKIE);
const SEALED_SESSION: HeaderName = HeaderName::from_static(header::SEALED_SESSION);
const SET_SESSION: HeaderName = HeaderName::from_static(header::SET_SESSION);
/// What keeps a cookie from scripts, other hosts, plain HTTP, and from every other site that the
/// gateway is embedded in. `SameSite=None`, since the app is another site; what a request may do is
/// signed in it.
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=None; Partitioned";

/// Takes the cookie that the client names from what its browser sent.
///
/// `None` where the client names none, or has none of that name.
///
/// # Errors
///
/// A problem where the name is none, the cookie is there twice, or holds what no enclave sealed.
pub(super) fn named(headers: &HeaderMap) -> Result<Option<SealedSession>, Problem> {
    let refuse = |detail: &'static str| problem_with(Code::MalformedRequest, detail);
    let mut named = headers.get_all(NAMED).iter();
    let Some(slot) = named.next() else {
        return Ok(None);
    };
    let slot: CookieSlot = slot
        .to_str()
        .ok()
        .filter(|_| named.next().is_none())
        .and_then(|slot| slot.parse().ok())
        .ok_or_else(|| {
            refuse("The header keyfold-cookie must have 16 hexadecimal digits, in lower case.")
        })?;
    let name = name(slot);
    let mut values = headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|field| field.as_bytes().split(|b| *b == b';'))
        .filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes()))
        .filter_map(|rest| rest.strip_prefix(b"="));
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(refuse("The cookie of the session is there twice."));
    }
    let text = std::str::from_utf8(value).ok();
    let sealed = text.and_then(|text| text.parse().ok());
    sealed
        .map(Some)
        .ok_or_else(|| refuse("The cookie of the session holds something else."))
}

/// Puts it beside a sealed request.
pub(super) fn beside(headers: &mut HeaderMap, sealed: &SealedSession) {
    // Base64url: always a value.
    if let Ok(mut value) = HeaderValue::from_str(sealed.as_str()) {
        value.set_sensitive(true);
        headers.insert(SEALED_SESSION, value);
    }
}

/// What an enclave wants of the client's cookie.
pub(super) enum Wanted {
    Nothing,
    Change(CookieChange),
    /// The enclave said something else.
    Unreadable,
}

/// Reads what an enclave put beside its answer.
pub(super) fn wanted(headers: &HeaderMap) -> Wanted {
    let mut values = headers.get_all(SET_SESSION).iter();
    let Some(value) = values.next() else {
        return Wanted::Nothing;
    };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    match text.and_then(|text| text.parse().ok()) {
        Some(change) => Wanted::Change(change),
        None => Wanted::Unreadable,
    }
}

/// Carries a change out.
pub(super) fn apply(change: &CookieChange, response: &mut Response) {
    let cookie = match change {
        CookieChange::Set {
            slot,
            seconds,
            sealed,
        } => format!(
            "{}={}; {ATTRIBUTES}; Max-Age={seconds}",
            name(*slot),
            sealed.as_str()
        ),
        CookieChange::Clear { slot } => format!("{}=; {ATTRIBUTES}; Max-Age=0", name(*slot)),
    };
    if let Ok(mut value) = HeaderValue::from_str(&cookie) {
        value.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, value);
    }
}

fn name(slot: CookieSlot) -> String {
    format!("{COOKIE_PREFIX}{slot}")
}

#[cfg(test)]
mod tests;
