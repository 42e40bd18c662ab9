//! The relayer's own key, which holds gas money.

use alloy_primitives::{Address, B256};
use keyfold_chain::{SignedTransaction, Transaction};
use keyfold_crypto::Encoder;
use keyfold_crypto::secp256k1::SigningKey;
use keyfold_storage::MasterKey;
use keyfold_wallet::EcdsaSignature;

/// Signs transactions that pay for gas.
#[derive(Debug)]
pub(crate) struct RelayerKey {
    key: SigningKey,
    address: Address,
}

/// The key cannot express this signature (one of about 2^127).
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the transaction could not be signed")]
pub(crate) struct SigningFailed;

impl RelayerKey {
    /// Derives the key from the master key (HKDF-SHA256). The chance that the bytes are no key is
    /// below 2^-127; then the next counter is taken.
    pub(crate) fn derive(master: &MasterKey) -> Self {
        let master = master.to_envelope_key();
        let mut counter = 0;
        let key = loop {
            let context = Encoder::new("keyfold/relayer-key-context/v1")
                .u32(counter)
                .finish();
            let secret = master.derive("keyfold/relayer-key/v1", &context);
            if let Ok(key) = SigningKey::from_secret(&secret) {
                break key;
            }
            counter += 1;
        };
        let address = Address::from(key.address());
        Self { key, address }
    }

    pub(crate) const fn address(&self) -> Address {
        self.address
    }

    pub(crate) fn sign(
        &self,
        transaction: &Transaction,
    ) -> Result<SignedTransaction, SigningFailed> {
        let signature = self.key.sign_prehash(&transaction.signing_hash().0);
        let (r, s) = (B256::from(signature.r), B256::from(signature.s));
        EcdsaSignature::new(r, s, signature.y_parity)
            .map(|signature| transaction.sign_with(&signature))
            .ok_or(SigningFailed)
    }
}
