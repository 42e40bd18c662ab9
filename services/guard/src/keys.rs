//! The guard's signer keys: one for each project, derived from the master key.

use alloy_primitives::Address;
use keyfold_crypto::secp256k1::{RecoverableSignature, SigningKey};
use keyfold_crypto::{Encoder, Secret, envelope};
use keyfold_guard::Approval;
use keyfold_protocol::ids::{Digest32, ProjectId};
use keyfold_storage::MasterKey;

/// Derives and uses the projects' signer keys.
#[derive(Debug)]
pub struct GuardKeys {
    master: envelope::MasterKey,
}

impl GuardKeys {
    /// Takes the master key.
    pub fn new(master: &MasterKey) -> Self {
        Self {
            master: envelope::MasterKey::new(master.expose(|bytes| Secret::from_array(*bytes))),
        }
    }

    /// Returns the address that signs for a project.
    pub fn signer(&self, project: &ProjectId) -> Address {
        Address::from(self.key(project).address())
    }

    /// Signs a digest that was approved.
    pub(crate) fn sign(
        &self,
        project: &ProjectId,
        digest: &Digest32,
        _approved: &Approval,
    ) -> RecoverableSignature {
        self.key(project).sign_prehash(digest.as_bytes())
    }

    /// Derives a project's key (HKDF-SHA256, RFC 5869). The chance that the bytes are not a key is
    /// below 2^-127; then the next counter is taken.
    fn key(&self, project: &ProjectId) -> SigningKey {
        let mut counter = 0;
        loop {
            let context = Encoder::new("keyfold/guard-signer-context/v1")
                .str(project.as_str())
                .u32(counter)
                .finish();
            let secret = self.master.derive("keyfold/guard-signer/v1", &context);
            if let Ok(key) = SigningKey::from_secret(&secret) {
                return key;
            }
            counter += 1;
        }
    }
}
