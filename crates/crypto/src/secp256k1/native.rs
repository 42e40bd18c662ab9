//! libsecp256k1.

use secp256k1::{
    Message, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};

use crate::secret::Secret;

/// A valid key on the heap, so that moving it leaves no copy behind.
pub(super) struct Key(Box<SecretKey>);

impl Key {
    pub(super) fn new(bytes: &[u8; 32]) -> Option<Self> {
        SecretKey::from_secret_bytes(*bytes)
            .ok()
            .map(|key| Self(Box::new(key)))
    }

    pub(super) fn to_secret(&self) -> Secret<32> {
        Secret::init_with(|bytes| bytes.copy_from_slice(self.0.as_secret_bytes()))
    }

    pub(super) fn public_key(&self) -> [u8; 65] {
        self.0.public_key().serialize_uncompressed()
    }

    /// Returns `r || s` and the recovery id.
    pub(super) fn sign(&self, prehash: &[u8; 32]) -> ([u8; 64], u8) {
        let message = Message::from_digest(*prehash);
        let signature = RecoverableSignature::sign_ecdsa_recoverable(message, &self.0);
        let (recovery_id, bytes) = signature.serialize_compact();
        (bytes, recovery_id.to_u8())
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // The library's name says that it is best effort: it writes with volatile stores, as
        // zeroize does, and knows as little about copies the compiler made.
        self.0.non_secure_erase();
    }
}

pub(super) fn recover(prehash: &[u8; 32], rs: &[u8; 64], y_parity: bool) -> Option<[u8; 65]> {
    let recovery_id = RecoveryId::from_u8_masked(u8::from(y_parity));
    let signature = RecoverableSignature::from_compact(rs, recovery_id).ok()?;
    let key = signature.recover(Message::from_digest(*prehash)).ok()?;
    Some(key.serialize_uncompressed())
}
