//! What is kept of a passkey.

use keyfold_crypto::b64;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::PasskeyPublicKey;

/// What an authenticator keeps to say whose a passkey is: 32 random bytes, and no name.
///
/// WebAuthn section 14.6.1 forbids personal data here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserHandle(#[serde(with = "b64")] [u8; 32]);

impl UserHandle {
    /// Draws a handle, for an account that has none.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Wraps bytes that came back from an authenticator; `None` if they are not 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A passkey as the account's record keeps it: made by a verified registration only, or read from
/// a sealed record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasskeyCredential {
    pub(super) project: String,
    pub(super) relying_party: String,
    #[serde(with = "b64::Bounded::<1023>")]
    pub(super) id: Vec<u8>,
    pub(super) user: UserHandle,
    pub(super) public_key: PasskeyPublicKey,
    pub(super) sign_count: u32,
    pub(super) backup_eligible: bool,
    pub(super) backed_up: bool,
}

impl PasskeyCredential {
    /// Returns the project that it was made for.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Returns the relying party that it was made for.
    #[must_use]
    pub fn relying_party(&self) -> &str {
        &self.relying_party
    }

    /// Returns its id: to look it up by. Ids must be unique within a project; a registration with
    /// one that is taken is the caller's to refuse.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// Returns whose it is.
    #[must_use]
    pub fn user(&self) -> &UserHandle {
        &self.user
    }

    /// Returns its key.
    #[must_use]
    pub fn public_key(&self) -> &PasskeyPublicKey {
        &self.public_key
    }

    /// Returns the highest signature counter seen; 0 where the authenticator keeps none.
    #[must_use]
    pub fn sign_count(&self) -> u32 {
        self.sign_count
    }

    /// Returns whether the authenticator may copy it to others of its owner's: then it is not
    /// bound to one device.
    #[must_use]
    pub fn backup_eligible(&self) -> bool {
        self.backup_eligible
    }

    /// Returns whether it has been copied.
    #[must_use]
    pub fn backed_up(&self) -> bool {
        self.backed_up
    }
}
