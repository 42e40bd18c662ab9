//! A wallet with one owner, whose key is here.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256};
use keyfold_crypto::Secret;
use keyfold_crypto::secp256k1::SigningKey;
use keyfold_protocol::relayer_api::Relay;
use keyfold_wallet::config::default_tree;
use keyfold_wallet::payload::pack;
use keyfold_wallet::signature::{Header, Parts, encode};
use keyfold_wallet::{
    Call, ContextName, EcdsaSignature, Encoding, Payload, SignaturePart, ValidConfig,
    wallet_address,
};

use crate::anvil::CHAIN;

pub(crate) struct TestWallet {
    key: SigningKey,
    config: ValidConfig,
    pub(crate) address: Address,
}

impl TestWallet {
    pub(crate) fn new(seed: u8) -> Self {
        Self::of(seed, ContextName::Keyfold)
    }

    /// A wallet of other contracts.
    pub(crate) fn of(seed: u8, contracts: ContextName) -> Self {
        let key = SigningKey::from_secret(&Secret::from_array([seed; 32])).unwrap();
        let config = default_tree(Address::from(key.address()), None).unwrap();
        let address = wallet_address(&config.image_hash(), &contracts.context());
        Self {
            key,
            config,
            address,
        }
    }

    pub(crate) fn transfer(&self, nonce: u64, to: Address, wei: u64) -> Relay {
        self.calls(nonce, vec![Call::new(to, U256::from(wei), Bytes::new())])
    }

    pub(crate) fn calls(&self, nonce: u64, calls: Vec<Call>) -> Relay {
        let payload = Payload::calls(U160::ZERO, nonce, calls);
        let digest = payload.op_hash(&self.address, CHAIN);
        let signed = self.key.sign_prehash(&digest.0);
        let part = EcdsaSignature::new(signed.r.into(), signed.s.into(), signed.y_parity).unwrap();
        let parts = Parts::from([(
            Address::from(self.key.address()),
            SignaturePart::EcdsaHash(part),
        )]);
        Relay {
            chain_id: CHAIN,
            wallet: self.address,
            image_hash: self.image_hash(),
            payload: pack(&payload, Some(&self.address), Encoding::Shortest)
                .unwrap()
                .into(),
            signature: encode(&self.config, &parts, &Header::default()).unwrap(),
        }
    }

    pub(crate) fn image_hash(&self) -> B256 {
        self.config.image_hash()
    }
}
