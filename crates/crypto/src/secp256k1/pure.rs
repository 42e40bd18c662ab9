//! The `k256` crate.

use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use zeroize::Zeroize;

use crate::secret::Secret;

/// A valid key on the heap; `SigningKey` wipes itself.
pub(super) struct Key(Box<SigningKey>);

impl Key {
    pub(super) fn new(bytes: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(bytes)
            .ok()
            .map(|key| Self(Box::new(key)))
    }

    pub(super) fn to_secret(&self) -> Secret<32> {
        let mut bytes = self.0.to_bytes();
        let secret = Secret::init_with(|target| target.copy_from_slice(&bytes));
        bytes.zeroize();
        secret
    }

    pub(super) fn public_key(&self) -> [u8; 65] {
        uncompressed(self.0.verifying_key())
    }

    /// Returns `r || s` and the recovery id.
    pub(super) fn sign(&self, prehash: &[u8; 32]) -> ([u8; 64], u8) {
        let (signature, recovery_id) = self.0.sign_prehash_recoverable(prehash);
        (signature.to_bytes().into(), recovery_id.to_byte())
    }
}

pub(super) fn recover(prehash: &[u8; 32], rs: &[u8; 64], y_parity: bool) -> Option<[u8; 65]> {
    let signature = Signature::from_slice(rs).ok()?;
    let recovery_id = RecoveryId::new(y_parity, false);
    let key = VerifyingKey::recover_from_prehash(prehash, &signature, recovery_id).ok()?;
    Some(uncompressed(&key))
}

fn uncompressed(key: &VerifyingKey) -> [u8; 65] {
    let point = key.to_sec1_point(false);
    let mut bytes = [0; 65];
    for (target, byte) in bytes.iter_mut().zip(point.as_bytes()) {
        *target = *byte;
    }
    bytes
}
