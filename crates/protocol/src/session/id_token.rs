//! The ID token: what an app's own server is told of a person who signed in, for any OpenID library.
//!
//! | Claim | Meaning |
//! |---|---|
//! | `iss` | the `https` address that the project's settings name, below which libraries look for keys |
//! | `aud` | project: the app's domain, one string; there is no `azp` |
//! | `sub` | account, random for each project |
//! | `nonce` | as the app gave it in the request; absent where it gave none |
//! | `auth_time`, `amr`, `acr` | when and how the person signed in |
//! | `sid` | session |
//! | `iat`, `exp` | made at, not valid from; at most ten minutes apart, and never past the session's end |
//! | `jti` | this token |
//!
//! The realm's attestation key signs it, under the header's `typ` [`ID_TOKEN_TYP`].
//!
//! # Security
//!
//! A bearer token. It is no session attestation and none is an ID token: the `typ` of both is signed
//! and compared, `iss` is of another form, and an attestation has a `cnf`, which this has not.
//! Enclaves and holders take it for nothing; an enclave reads it to introspect it.
//!
//! OpenID Connect Core 1.0 sections 2 and 3.1.3.7, RFC 8725 section 3.11.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ClaimsError;
use super::claims::{check_amr, is_name};
#[cfg(not(target_family = "wasm"))]
use super::{
    AttestationKeySet, AttestationSigner, SessionError, SignError, verify::authentic_claims,
};
use super::{MAX_CLOCK_SKEW_SECONDS, MAX_SESSION_SECONDS};
use crate::ids::{AccountId, ProjectId, SessionId};

/// The `typ` of the header.
pub const ID_TOKEN_TYP: &str = "JWT";
/// Fewest and most seconds from `iat` to `exp` that a project may ask for.
pub const ID_TOKEN_SECONDS: core::ops::RangeInclusive<u64> = 60..=600;
/// Longest nonce, bytes.
pub const MAX_NONCE_LEN: usize = 128;
const MAX_ISSUER_LEN: usize = 253 + 14;

/// What an app gives with its request and finds in the token: 1 to [`MAX_NONCE_LEN`] visible ASCII
/// characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(String);

/// Reports a text that is no nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a nonce is 1 to 128 visible ASCII characters")]
pub struct InvalidNonce;

impl Nonce {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Nonce {
    type Error = InvalidNonce;

    fn try_from(text: String) -> Result<Self, InvalidNonce> {
        let good = (1..=MAX_NONCE_LEN).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good {
            Ok(Self(text))
        } else {
            Err(InvalidNonce)
        }
    }
}

impl FromStr for Nonce {
    type Err = InvalidNonce;

    fn from_str(text: &str) -> Result<Self, InvalidNonce> {
        text.to_owned().try_into()
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> Self {
        nonce.0
    }
}

/// Who issues ID tokens: `https://host` or `https://host:port`, in lower case and with nothing behind.
///
/// Libraries compare it to the letter and put `/.well-known/openid-configuration` behind it, so there
/// is one spelling: no slash at the end, no port 443.
///
/// OpenID Connect Discovery 1.0 section 4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Issuer(String);

/// Reports a text that is no issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an issuer is https://host or https://host:port, in lower case and with nothing behind")]
pub struct InvalidIssuer;

impl Issuer {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Issuer {
    type Err = InvalidIssuer;

    fn from_str(text: &str) -> Result<Self, InvalidIssuer> {
        let authority = text.strip_prefix("https://").ok_or(InvalidIssuer)?;
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let good_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let good_port = |port: &str| {
            port.parse::<u16>()
                .is_ok_and(|number| number != 0 && number != 443 && number.to_string() == port)
        };
        let good = text.len() <= MAX_ISSUER_LEN
            && host.split('.').all(good_label)
            && port.is_none_or(good_port);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIssuer)
        }
    }
}

impl TryFrom<String> for Issuer {
    type Error = InvalidIssuer;

    fn try_from(text: String) -> Result<Self, InvalidIssuer> {
        text.parse()
    }
}

impl From<Issuer> for String {
    fn from(issuer: Issuer) -> Self {
        issuer.0
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The claims of an ID token. See the [module](self) for their meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdTokenClaims {
    /// The address below which libraries look for keys.
    pub iss: Issuer,
    /// Project.
    pub aud: ProjectId,
    /// Account.
    pub sub: AccountId,
    /// What the app gave with its request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Nonce>,
    /// When the person signed in, in Unix seconds.
    pub auth_time: u64,
    /// How the person signed in, such as `otp` (RFC 8176).
    pub amr: Vec<String>,
    /// Level of assurance.
    pub acr: String,
    /// Session.
    pub sid: SessionId,
    /// When the token was made, in Unix seconds.
    pub iat: u64,
    /// First second, in Unix seconds, in which it is no longer valid.
    pub exp: u64,
    /// This token.
    pub jti: String,
}

impl IdTokenClaims {
    /// Checks what does not depend on who reads them, or when. Signer and verifier both do.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`].
    pub fn check(&self) -> Result<(), ClaimsError> {
        if self.auth_time > self.iat || self.iat >= self.exp {
            return Err(ClaimsError::TimesOutOfOrder);
        }
        if self.exp - self.iat > *ID_TOKEN_SECONDS.end() {
            return Err(ClaimsError::LifetimeTooLong);
        }
        if self.exp - self.auth_time > MAX_SESSION_SECONDS {
            return Err(ClaimsError::SessionTooOld);
        }
        check_amr(&self.amr)?;
        if !is_name(&self.acr) {
            return Err(ClaimsError::Malformed("acr"));
        }
        if !is_name(&self.jti) {
            return Err(ClaimsError::Malformed("jti"));
        }
        Ok(())
    }
}

#[cfg(not(target_family = "wasm"))]
impl AttestationSigner {
    /// Signs an ID token.
    ///
    /// # Errors
    ///
    /// [`SignError`]; nothing is signed that [`verify_id_token`] would refuse whoever asked.
    ///
    /// # Security
    ///
    /// Signs whatever claims it is given: only to be called with what the enclave itself verified.
    ///
    /// RFC 7515 section 5.1.
    pub fn sign_id_token(&self, claims: &IdTokenClaims) -> Result<String, SignError> {
        claims.check()?;
        self.sign_typed(ID_TOKEN_TYP, claims)
    }
}

/// Verifies an ID token, for the enclave that is asked about one.
///
/// In this order: size, form, `typ`, key, algorithm, signature; only then the claims: issuer,
/// project, limits, times. At `exp` it is over.
///
/// # Errors
///
/// [`SessionError`]; another issuer is [`SessionError::WrongRealm`].
///
/// # Security
///
/// For untrusted text; bounded, never panics. Does not check the nonce, which only the app knows,
/// nor that the session still stands.
///
/// OpenID Connect Core 1.0 section 3.1.3.7.
#[cfg(not(target_family = "wasm"))]
pub fn verify_id_token(
    jwt: &str,
    keys: &AttestationKeySet,
    issuer: &Issuer,
    project: &ProjectId,
    now_unix_seconds: u64,
) -> Result<IdTokenClaims, SessionError> {
    let claims: IdTokenClaims = authentic_claims(jwt, ID_TOKEN_TYP, keys)?;
    if claims.iss != *issuer {
        return Err(SessionError::WrongRealm);
    }
    if claims.aud != *project {
        return Err(SessionError::WrongProject);
    }
    claims.check()?;
    if claims.iat > now_unix_seconds.saturating_add(MAX_CLOCK_SKEW_SECONDS) {
        return Err(SessionError::NotYetValid);
    }
    if claims.exp <= now_unix_seconds {
        return Err(SessionError::Expired);
    }
    Ok(claims)
}
