//! The claims of an attestation.

use keyfold_crypto::hash::sha256;
use keyfold_crypto::jwk::Thumbprint;
use serde::{Deserialize, Serialize};

use super::{MAX_ATTESTATION_SECONDS, MAX_SESSION_SECONDS, MAX_WALLETS};
use crate::ids::{AccountId, AddressId, ProjectId, RealmId, SessionId};

const MAX_AMR: usize = 8;
const MAX_TEXT_LEN: usize = 64;

/// The device that an attestation was made for.
///
/// RFC 7800, with the `jkt` member of RFC 9449.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Thumbprint of the device credential.
    pub jkt: Thumbprint,
}

/// The claims of a session attestation. See the [module](super) for their meaning.
///
/// Claims that this release does not know are skipped, so that a later one may add some; a claim
/// that occurs twice is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClaims {
    /// Realm.
    pub iss: RealmId,
    /// Project: one string, never a list.
    pub aud: ProjectId,
    /// Account.
    pub sub: AccountId,
    /// Device.
    pub cnf: Confirmation,
    /// Wallets of the account, as lower-case `0x` addresses.
    #[serde(with = "addresses")]
    pub wallets: Vec<AddressId>,
    /// How the person signed in, such as `otp` (RFC 8176).
    pub amr: Vec<String>,
    /// Level of assurance.
    pub acr: String,
    /// When the person signed in, in Unix seconds.
    pub auth_time: u64,
    /// Session.
    pub sid: SessionId,
    /// When the attestation was made, in Unix seconds.
    pub iat: u64,
    /// First second, in Unix seconds, in which it is no longer valid.
    pub exp: u64,
    /// This attestation.
    pub jti: String,
}

/// Reports claims that no attestation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// `auth_time`, `iat` and `exp` are not in this order.
    #[error("the times of the attestation are out of order")]
    TimesOutOfOrder,
    /// Valid for more than [`MAX_ATTESTATION_SECONDS`].
    #[error("the attestation is valid for too long")]
    LifetimeTooLong,
    /// Ends more than [`MAX_SESSION_SECONDS`] after the person signed in.
    #[error("the session is older than any session may become")]
    SessionTooOld,
    /// A list or text is longer than its limit, empty where it must not be, or has other
    /// characters than visible ASCII.
    #[error("the attestation's {0} is malformed")]
    Malformed(&'static str),
}

impl SessionClaims {
    /// Checks what does not depend on who reads them, or when. Signer and verifier both do.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`].
    pub fn check(&self) -> Result<(), ClaimsError> {
        if self.auth_time > self.iat || self.iat >= self.exp {
            return Err(ClaimsError::TimesOutOfOrder);
        }
        if self.exp - self.iat > MAX_ATTESTATION_SECONDS {
            return Err(ClaimsError::LifetimeTooLong);
        }
        if self.exp - self.auth_time > MAX_SESSION_SECONDS {
            return Err(ClaimsError::SessionTooOld);
        }
        if self.wallets.len() > MAX_WALLETS {
            return Err(ClaimsError::Malformed("wallets"));
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

pub(super) fn check_amr(amr: &[String]) -> Result<(), ClaimsError> {
    if amr.is_empty() || amr.len() > MAX_AMR || !amr.iter().all(|method| is_name(method)) {
        return Err(ClaimsError::Malformed("amr"));
    }
    Ok(())
}

pub(super) fn is_name(text: &str) -> bool {
    (1..=MAX_TEXT_LEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Returns the hash by which a request names its attestation: SHA-256 of the JWT's text.
///
/// # Security
///
/// Verifies nothing.
pub fn attestation_hash(jwt: &str) -> [u8; 32] {
    sha256(jwt.as_bytes())
}

/// Addresses as the ecosystem writes them, in the one form that compares as text.
mod addresses {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::ids::AddressId;

    pub(super) fn serialize<S: Serializer>(
        addresses: &[AddressId],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(addresses.iter().map(|address| format!("0x{address}")))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<AddressId>, D::Error> {
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .map(|text| {
                text.strip_prefix("0x")
                    .and_then(|hex| hex.parse().ok())
                    .ok_or_else(|| D::Error::custom("not a lower-case 0x address"))
            })
            .collect()
    }
}
