//! A passkey as a signer: its root in the wallet's configuration.

use alloy_primitives::{B256, keccak256};

use crate::bytes::{hash_pair, word};

/// A passkey's public key, and what the wallet asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasskeyPublicKey {
    /// x coordinate of the P-256 point.
    pub x: B256,
    /// y coordinate of the P-256 point.
    pub y: B256,
    /// Whether the authenticator must have verified the person, not only their presence.
    pub require_user_verification: bool,
    /// A hash that names the passkey, for those who look for it; see [`credential_metadata`].
    pub metadata: Option<B256>,
}

impl PasskeyPublicKey {
    /// Computes the root that stands for the passkey in a sapient leaf (format section 7).
    #[must_use]
    pub fn root(&self) -> B256 {
        let rules = hash_pair(
            &word(u8::from(self.require_user_verification)),
            &self.metadata.unwrap_or_default(),
        );
        hash_pair(&hash_pair(&self.x, &self.y), &rules)
    }
}

/// Computes the metadata hash of a credential id.
#[must_use]
pub fn credential_metadata(credential_id: &str) -> B256 {
    keccak256(credential_id)
}
