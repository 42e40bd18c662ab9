//! Compact JSON Web Signatures.
//!
//! A signed text is taken apart into [`UnverifiedJws`], which says whose key it wants and nothing
//! else; only [`UnverifiedJws::verify`] gives its payload.
//!
//! RFC 7515, RFC 8725 (best current practices).

use core::fmt;

use keyfold_crypto::b64;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::json;
use super::keys::{Algorithm, Found, KeySet, MAX_KID_LEN};

/// Most bytes of a signed text.
pub const MAX_JWS_LEN: usize = 16 * 1024;
const MAX_HEADER_LEN: usize = 2_048;
/// An RSA signature of 4096 bits.
const MAX_SIGNATURE_LEN: usize = 512;

/// Says why a signed text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// More than [`MAX_JWS_LEN`] bytes.
    #[error("the token is too large")]
    TooLarge,
    /// Not three parts of base64url with a JSON header, or with a member twice.
    #[error("the token is malformed")]
    Malformed,
    /// `none`, HMAC, or another algorithm than those that are allowed.
    #[error("the token's algorithm is not allowed")]
    AlgorithmNotAllowed,
    /// The header brings a key, says where to get one, or asks for an extension.
    #[error("the token's header chooses how it is verified")]
    HeaderNotAllowed,
    /// The token is of another kind than a JWT, such as an access token.
    #[error("the token is of another type")]
    WrongType,
    /// No one key of the set has its name: fetch the set again, once.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The key it names is for another algorithm.
    #[error("the token names an algorithm that its key is not for")]
    WrongAlgorithm,
    /// Not signed by the key it names.
    #[error("the token's signature does not verify")]
    BadSignature,
}

/// A signed text, taken apart and not believed.
pub struct UnverifiedJws<'a> {
    message: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    kid: Option<String>,
}

/// The members that matter; others are skipped, as RFC 7515 section 4 asks.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    crit: bool,
    #[serde(default, deserialize_with = "json::present")]
    jwk: bool,
    #[serde(default, deserialize_with = "json::present")]
    jku: bool,
    #[serde(default, deserialize_with = "json::present")]
    x5c: bool,
    #[serde(default, deserialize_with = "json::present")]
    x5u: bool,
    #[serde(default, deserialize_with = "json::present")]
    b64: bool,
    #[serde(default, deserialize_with = "json::present")]
    enc: bool,
    #[serde(default, deserialize_with = "json::present")]
    zip: bool,
}

impl<'a> UnverifiedJws<'a> {
    /// Takes a text apart.
    ///
    /// # Errors
    ///
    /// [`JwsError`].
    ///
    /// # Security
    ///
    /// For untrusted text; bounded, never panics.
    pub fn parse(text: &'a str) -> Result<Self, JwsError> {
        if text.len() > MAX_JWS_LEN {
            return Err(JwsError::TooLarge);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(JwsError::Malformed)?;
        if payload.contains('.') {
            return Err(JwsError::Malformed);
        }
        let header = b64::decode(header, MAX_HEADER_LEN).map_err(|_| JwsError::Malformed)?;
        let header: Header =
            json::from_slice(&header, MAX_HEADER_LEN).map_err(|_| JwsError::Malformed)?;
        if header.crit
            || header.jwk
            || header.jku
            || header.x5c
            || header.x5u
            || header.b64
            || header.enc
            || header.zip
        {
            return Err(JwsError::HeaderNotAllowed);
        }
        let algorithm = Algorithm::from_name(&header.alg).ok_or(JwsError::AlgorithmNotAllowed)?;
        // RFC 8725 section 3.11: a token that says it is something else is not an ID token.
        if header
            .typ
            .is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT"))
        {
            return Err(JwsError::WrongType);
        }
        if header
            .kid
            .as_ref()
            .is_some_and(|kid| kid.len() > MAX_KID_LEN)
        {
            return Err(JwsError::Malformed);
        }
        Ok(Self {
            signature: b64::decode(signature, MAX_SIGNATURE_LEN)
                .map_err(|_| JwsError::Malformed)?,
            message,
            payload,
            algorithm,
            kid: header.kid,
        })
    }

    /// Verifies the signature and gives the payload.
    ///
    /// The key is the one of the set that has the token's name, and it has to be for the token's
    /// algorithm. A token without a name needs a set in which its algorithm leaves one choice.
    ///
    /// # Errors
    ///
    /// [`JwsError`].
    pub fn verify(self, keys: &KeySet, allowed: &[Algorithm]) -> Result<VerifiedPayload, JwsError> {
        if !allowed.contains(&self.algorithm) {
            return Err(JwsError::AlgorithmNotAllowed);
        }
        let key = match keys.find(self.kid.as_deref(), self.algorithm) {
            Found::Key(key) => key,
            Found::OtherAlgorithm => return Err(JwsError::WrongAlgorithm),
            Found::None => return Err(JwsError::UnknownKey),
        };
        if !key.verifies(self.message.as_bytes(), &self.signature) {
            return Err(JwsError::BadSignature);
        }
        b64::decode(self.payload, MAX_JWS_LEN)
            .map(VerifiedPayload)
            .map_err(|_| JwsError::Malformed)
    }
}

impl fmt::Debug for UnverifiedJws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "UnverifiedJws({}, {:?})",
            self.algorithm.name(),
            self.kid
        )
    }
}

/// A payload whose signature verified: only [`UnverifiedJws::verify`] makes one.
pub struct VerifiedPayload(Vec<u8>);

impl VerifiedPayload {
    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn claims<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        json::from_slice(&self.0, MAX_JWS_LEN).map_err(|_| JwsError::Malformed)
    }
}

impl fmt::Debug for VerifiedPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedPayload({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests;
