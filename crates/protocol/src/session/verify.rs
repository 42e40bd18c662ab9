//! The verifier's side.

use keyfold_crypto::b64;
use keyfold_crypto::jwk::Thumbprint;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{
    AttestationKeySet, ClaimsError, MAX_ATTESTATION_LEN, MAX_CLOCK_SKEW_SECONDS, SessionClaims,
    TYP, attestation_hash, json,
};
use crate::ids::{AddressId, ProjectId, RealmId};

/// What the verifier knows without asking the attestation.
#[derive(Debug, Clone, Copy)]
pub struct SessionExpectation<'a> {
    /// The verifier's realm.
    pub realm: &'a RealmId,
    /// The project that the request is for.
    pub project: &'a ProjectId,
    /// The verifier's clock, in Unix seconds.
    pub now_unix_seconds: u64,
    /// What becomes of an attestation that has run out.
    pub expired: Expired,
}

/// What becomes of an attestation that has run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// It is refused, from the very second on.
    Refused,
    /// It still says whose session this is. For renewal alone: the verifier must know from
    /// elsewhere that the session lasts.
    Accepted,
}

/// Says why an attestation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Over: renew it, or sign in again.
    #[error("the session attestation has expired")]
    Expired,
    /// Signed with a key that is not in the set: fetch the set again, once.
    #[error("the session attestation is signed with an unknown key")]
    UnknownKey,
    /// More bytes than any attestation has.
    #[error("the session attestation is too large")]
    TooLarge,
    /// Not a JWT of this form: three parts, exactly `typ`, `alg` and `kid` in the header, no
    /// member twice, every claim there and of its type.
    #[error("the session attestation is malformed")]
    Malformed,
    /// Names another algorithm than its key's.
    #[error("the session attestation names an algorithm that its key is not for")]
    WrongAlgorithm,
    /// Not signed by the key it names.
    #[error("the session attestation's signature does not verify")]
    BadSignature,
    /// Of another realm.
    #[error("the session attestation is of another realm")]
    WrongRealm,
    /// For another app.
    #[error("the session attestation is for another project")]
    WrongProject,
    /// Made in the future, by more than clocks may differ.
    #[error("the session attestation is not valid yet")]
    NotYetValid,
    /// Signed, but with claims that no attestation has.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

/// The claims of an attestation that was verified: only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSession {
    claims: SessionClaims,
    hash: [u8; 32],
}

impl VerifiedSession {
    /// Returns the claims.
    pub fn claims(&self) -> &SessionClaims {
        &self.claims
    }

    /// Returns the thumbprint of the device that must have signed the request.
    pub fn device(&self) -> Thumbprint {
        self.claims.cnf.jkt
    }

    /// Returns the hash that the request's signature must cover.
    pub fn attestation_hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Tells whether the attestation names a wallet.
    pub fn has_wallet(&self, wallet: &AddressId) -> bool {
        self.claims.wallets.contains(wallet)
    }
}

/// The header, exactly. Anything else in it (`crit`, `jku`, `jwk`, `x5u`) is somebody trying to
/// choose how he is verified.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    /// A text, so that `none` and `HS256` are a wrong algorithm rather than a syntax error.
    alg: String,
    kid: String,
}

/// Verifies a session attestation.
///
/// In this order: size, form, key, algorithm, signature; only then the claims are looked at:
/// realm, project, times, limits. No leeway at the end: at `exp` it is over, unless
/// [`Expired::Accepted`] says otherwise.
///
/// # Errors
///
/// [`SessionError`].
///
/// # Security
///
/// For untrusted text; bounded, never panics. Does not check that the request comes from the
/// device it names, nor that the session was not revoked: both need more than this text.
///
/// RFC 7515 section 5.2, RFC 7519 section 7.2.
pub fn verify(
    jwt: &str,
    keys: &AttestationKeySet,
    expect: &SessionExpectation<'_>,
) -> Result<VerifiedSession, SessionError> {
    let claims: SessionClaims = authentic_claims(jwt, TYP, keys)?;
    if claims.iss != *expect.realm {
        return Err(SessionError::WrongRealm);
    }
    if claims.aud != *expect.project {
        return Err(SessionError::WrongProject);
    }
    claims.check()?;
    if claims.iat
        > expect
            .now_unix_seconds
            .saturating_add(MAX_CLOCK_SKEW_SECONDS)
    {
        return Err(SessionError::NotYetValid);
    }
    if expect.expired == Expired::Refused && claims.exp <= expect.now_unix_seconds {
        return Err(SessionError::Expired);
    }
    Ok(VerifiedSession {
        claims,
        hash: attestation_hash(jwt),
    })
}

/// The claims that one of the keys signed as what `typ` says they are.
pub(super) fn authentic_claims<T: DeserializeOwned>(
    jwt: &str,
    typ: &str,
    keys: &AttestationKeySet,
) -> Result<T, SessionError> {
    if jwt.len() > MAX_ATTESTATION_LEN {
        return Err(SessionError::TooLarge);
    }
    let (message, signature) = jwt.rsplit_once('.').ok_or(SessionError::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(SessionError::Malformed)?;
    // A fourth part makes the payload's text contain a dot, which base64url has not.
    let [header, payload, signature] = [header, payload, signature]
        .map(|part| b64::decode(part, MAX_ATTESTATION_LEN).map_err(|_| SessionError::Malformed));

    let header: Header = json::from_slice(&header?).map_err(|_| SessionError::Malformed)?;
    if header.typ != typ {
        return Err(SessionError::Malformed);
    }
    let kid = header.kid.parse().map_err(|_| SessionError::UnknownKey)?;
    let key = keys.find(&kid).ok_or(SessionError::UnknownKey)?;
    if header.alg != key.algorithm().name() {
        return Err(SessionError::WrongAlgorithm);
    }
    if !key.verifies(message.as_bytes(), &signature?) {
        return Err(SessionError::BadSignature);
    }
    json::from_slice(&payload?).map_err(|_| SessionError::Malformed)
}
