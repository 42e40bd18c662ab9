//! ID tokens: what an issuer signed about somebody, and whether it was for us, now, here.
//!
//! OpenID Connect Core section 3.1.3.7, RFC 7519 section 4.1, RFC 8725.

#[cfg(test)]
mod tests;

use serde::Deserialize;

use super::binding::Nonce;
use super::jws::{JwsError, UnverifiedJws};
use super::keys::{Algorithm, KeySet};
use super::subject::{EmailTrust, Flag, ProvenSubject, is_subject};

/// Seconds by which an issuer's clock may differ from ours.
pub const MAX_CLOCK_SKEW_SECONDS: u64 = 60;
/// Most entries of an audience.
const MAX_AUDIENCES: usize = 8;

/// What a token has to say.
#[derive(Debug, Clone)]
pub struct IdTokenExpectation<'a> {
    /// The issuer, to the letter: `https://a.example` and `https://a.example/` are two.
    pub issuer: &'a str,
    /// Our client identifier there.
    pub client_id: &'a str,
    /// Other audiences that may stand beside ours, and other clients that may have asked (`azp`):
    /// those that the project itself runs.
    pub trusted_audiences: &'a [&'a str],
    /// The algorithms that this issuer uses.
    pub algorithms: &'a [Algorithm],
    /// The nonce that we sent; `None` only where nobody could send one.
    pub nonce: Option<&'a Nonce>,
    /// Seconds since the token was issued, at most.
    pub max_token_age_seconds: u64,
    /// Seconds since the person signed in at the issuer, at most; if set, the token has to say
    /// when that was.
    pub max_authentication_age_seconds: Option<u64>,
    /// The levels of assurance of which the token has to name one, unless empty.
    pub acr_values: &'a [&'a str],
    /// Whose word on an address counts.
    pub email_trust: EmailTrust,
    /// The clock, in Unix seconds.
    pub now_unix_seconds: u64,
}

/// Says why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// The signature or its envelope.
    #[error(transparent)]
    Signature(#[from] JwsError),
    /// A claim is missing or of another type than it has.
    #[error("the token's claims are malformed")]
    Claims,
    /// Of another issuer.
    #[error("the token is of another issuer")]
    WrongIssuer,
    /// For another client, or for one more that is not trusted.
    #[error("the token is for another audience")]
    WrongAudience,
    /// Requested by another client, or for several and does not say by which.
    #[error("the token was requested by another party")]
    WrongAuthorizedParty,
    /// Over.
    #[error("the token has expired")]
    Expired,
    /// Issued or valid from a time to come, by more than clocks may differ.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Issued too long ago.
    #[error("the token is too old")]
    TooOld,
    /// Of another sign-in, or of none.
    #[error("the token's nonce is not that of this sign-in")]
    WrongNonce,
    /// The person signed in at the issuer too long ago, or the token does not say when.
    #[error("the person has to sign in at the issuer again")]
    AuthenticationTooOld,
    /// Not one of the levels of assurance asked for.
    #[error("the token's level of assurance is not one of those asked for")]
    WrongAssurance,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: u64,
    iat: u64,
    nbf: Option<u64>,
    nonce: Option<String>,
    auth_time: Option<u64>,
    acr: Option<String>,
    email: Option<String>,
    email_verified: Option<Flag>,
    hd: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(audience) => core::slice::from_ref(audience),
            Self::Many(audiences) => audiences,
        }
    }
}

/// Verifies an ID token.
///
/// The signature first; what it does not cover is not looked at. Then issuer, audience,
/// authorized party, times, nonce, assurance.
///
/// # Errors
///
/// [`IdTokenError`]. On [`JwsError::UnknownKey`] fetch the keys again, once.
///
/// # Security
///
/// For untrusted text; bounded. Does not check `at_hash` or `c_hash`: no access token is used
/// beside an ID token here, and codes are exchanged by us alone. Does not remember tokens: without
/// a nonce the same token verifies again until it is too old (see
/// [`commitment`](super::commitment)).
pub fn verify(
    token: &str,
    keys: &KeySet,
    expect: &IdTokenExpectation<'_>,
) -> Result<ProvenSubject, IdTokenError> {
    let payload = UnverifiedJws::parse(token)?.verify(keys, expect.algorithms)?;
    let claims: Claims = payload.claims().map_err(|_| IdTokenError::Claims)?;
    if !is_subject(&claims.sub) {
        return Err(IdTokenError::Claims);
    }
    if claims.iss != expect.issuer {
        return Err(IdTokenError::WrongIssuer);
    }
    check_audience(&claims, expect)?;
    check_times(&claims, expect)?;
    if let Some(nonce) = expect.nonce
        && !claims
            .nonce
            .as_deref()
            .is_some_and(|claimed| nonce.matches(claimed))
    {
        return Err(IdTokenError::WrongNonce);
    }
    if !expect.acr_values.is_empty()
        && !claims
            .acr
            .as_deref()
            .is_some_and(|acr| expect.acr_values.contains(&acr))
    {
        return Err(IdTokenError::WrongAssurance);
    }
    let email = expect.email_trust.read(
        claims.email.as_deref(),
        claims.email_verified.is_some_and(|flag| flag.is_true()),
        claims.hd.as_deref(),
    );
    Ok(ProvenSubject {
        issuer: claims.iss,
        audience: expect.client_id.to_owned(),
        subject: claims.sub,
        email,
        issued_at_unix_seconds: claims.iat,
        expires_at_unix_seconds: claims.exp,
        authenticated_at_unix_seconds: claims.auth_time,
        acr: claims.acr,
    })
}

fn check_audience(claims: &Claims, expect: &IdTokenExpectation<'_>) -> Result<(), IdTokenError> {
    let ours = |name: &str| name == expect.client_id;
    let trusted = |name: &str| ours(name) || expect.trusted_audiences.contains(&name);
    let audiences = claims.aud.as_slice();
    if audiences.len() > MAX_AUDIENCES
        || !audiences.iter().any(|name| ours(name))
        || !audiences.iter().all(|name| trusted(name))
    {
        return Err(IdTokenError::WrongAudience);
    }
    match claims.azp.as_deref() {
        Some(party) if !trusted(party) => Err(IdTokenError::WrongAuthorizedParty),
        None if audiences.len() > 1 => Err(IdTokenError::WrongAuthorizedParty),
        _ => Ok(()),
    }
}

fn check_times(claims: &Claims, expect: &IdTokenExpectation<'_>) -> Result<(), IdTokenError> {
    let now = expect.now_unix_seconds;
    let (earliest, latest) = (
        now.saturating_sub(MAX_CLOCK_SKEW_SECONDS),
        now.saturating_add(MAX_CLOCK_SKEW_SECONDS),
    );
    if claims.iat > latest || claims.nbf.is_some_and(|from| from > latest) {
        return Err(IdTokenError::NotYetValid);
    }
    if claims.exp <= earliest || claims.exp <= claims.iat {
        return Err(IdTokenError::Expired);
    }
    if earliest > claims.iat.saturating_add(expect.max_token_age_seconds) {
        return Err(IdTokenError::TooOld);
    }
    match (expect.max_authentication_age_seconds, claims.auth_time) {
        (_, Some(at)) if at > latest => Err(IdTokenError::NotYetValid),
        (Some(_), None) => Err(IdTokenError::AuthenticationTooOld),
        (Some(max), Some(at)) if earliest > at.saturating_add(max) => {
            Err(IdTokenError::AuthenticationTooOld)
        }
        _ => Ok(()),
    }
}
