//! EIP-712 hashing of payloads (format section 4.2).

use alloy_primitives::{Address, B256, Keccak256, U256, b256, keccak256};

use super::{Call, Payload, PayloadBody};
use crate::bytes::word;

const DOMAIN_TYPE: B256 = b256!("8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f");
const NAME: B256 = b256!("4aa45ca7ad825ceb1bf35643f0a58c295239df563b1b565c2485f96477c56318");
const VERSION: B256 = b256!("2a80e1ef1d7842f27f2e6be0972bb708b9a135c38860dbe73c27c3486c34f4de");
const RECOVERY_NAME: B256 =
    b256!("d50a220b5983c5d6e86926072ffa8a3197ae49602ffc9dd0e60d62d561a2e1d5");
const RECOVERY_VERSION: B256 =
    b256!("c89efdaa54c0f20c7adf612882df0950f5a951637e0307cdcb4c672f298b8bc6");
const CALL_TYPE: B256 = b256!("0603985259a953da1f65a522f589c17bd1d0117ec1d3abb7c0788aef251ef437");
const CALLS_TYPE: B256 = b256!("11e1e4079a79a66e4ade50033cfe2678cdd5341d2dfe5ef9513edb1a0be147a2");
const MESSAGE_TYPE: B256 =
    b256!("e19a3b94fc3c7ece3f890d98a99bc422615537a08dea0603fa8425867d87d466");
const CONFIG_UPDATE_TYPE: B256 =
    b256!("11fdeb7e8373a1aa96bfac8d0ea91526b2c5d15e5cee20e0543e780258f3e8e4");

fn hash_words(words: &[B256]) -> B256 {
    let mut hasher = Keccak256::new();
    for word in words {
        hasher.update(word);
    }
    hasher.finalize()
}

/// Name and version of an EIP-712 domain, hashed.
struct Domain {
    name: B256,
    version: B256,
}

const WALLET_DOMAIN: Domain = Domain {
    name: NAME,
    version: VERSION,
};
const RECOVERY_DOMAIN: Domain = Domain {
    name: RECOVERY_NAME,
    version: RECOVERY_VERSION,
};

impl Domain {
    /// The EIP-712 domain of a wallet on a chain.
    fn separator(&self, wallet: &Address, chain_id: u64) -> B256 {
        hash_words(&[
            DOMAIN_TYPE,
            self.name,
            self.version,
            word(chain_id),
            wallet.into_word(),
        ])
    }
}

impl Call {
    /// Computes the EIP-712 struct hash of the call.
    #[must_use]
    pub fn struct_hash(&self) -> B256 {
        hash_words(&[
            CALL_TYPE,
            self.to.into_word(),
            B256::from(self.value),
            keccak256(&self.data),
            B256::from(self.gas_limit),
            word(u8::from(self.delegate_call)),
            word(u8::from(self.only_fallback)),
            word(self.behavior_on_error as u8),
        ])
    }
}

impl Payload {
    /// Computes the EIP-712 struct hash of the payload.
    #[must_use]
    pub fn struct_hash(&self) -> B256 {
        let parents: Vec<B256> = self.parent_wallets.iter().map(Address::into_word).collect();
        let wallets = hash_words(&parents);
        match &self.body {
            PayloadBody::Calls {
                space,
                nonce,
                calls,
            } => {
                let calls: Vec<B256> = calls.iter().map(Call::struct_hash).collect();
                let space = B256::from(U256::from(*space));
                hash_words(&[CALLS_TYPE, hash_words(&calls), space, word(*nonce), wallets])
            }
            PayloadBody::Message(message) => {
                hash_words(&[MESSAGE_TYPE, keccak256(message), wallets])
            }
            PayloadBody::ConfigUpdate(image_hash) => {
                hash_words(&[CONFIG_UPDATE_TYPE, *image_hash, wallets])
            }
            PayloadBody::Digest(digest) => hash_words(&[MESSAGE_TYPE, *digest, wallets]),
        }
    }

    /// Computes the hash that the wallet's signers sign.
    ///
    /// `chain_id` is [`super::ANY_CHAIN`] for a payload that counts on every chain.
    #[must_use]
    pub fn op_hash(&self, wallet: &Address, chain_id: u64) -> B256 {
        self.hash_in(&WALLET_DOMAIN, wallet, chain_id)
    }

    /// Computes the hash that a recovery signer signs to queue the payload.
    ///
    /// The queue itself is keyed by [`Payload::op_hash`]. Chain id as there.
    #[must_use]
    pub fn recovery_hash(&self, wallet: &Address, chain_id: u64) -> B256 {
        self.hash_in(&RECOVERY_DOMAIN, wallet, chain_id)
    }

    /// Computes what the npm package takes for [`Payload::op_hash`]: the same, but a digest is
    /// its own hash. No contract agrees; for comparisons with the package only.
    #[must_use]
    pub fn npm_hash(&self, wallet: &Address, chain_id: u64) -> B256 {
        match &self.body {
            PayloadBody::Digest(digest) => *digest,
            _ => self.op_hash(wallet, chain_id),
        }
    }

    fn hash_in(&self, domain: &Domain, wallet: &Address, chain_id: u64) -> B256 {
        let mut hasher = Keccak256::new();
        hasher.update([0x19, 0x01]);
        hasher.update(domain.separator(wallet, chain_id));
        hasher.update(self.struct_hash());
        hasher.finalize()
    }
}
