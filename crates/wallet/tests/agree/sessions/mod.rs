//! Session signatures: `Sessions.recoverSapientSignature` against `session::recover_encoded`.

mod build;
mod errors;
mod places;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, hex};
use keyfold_wallet::EcdsaSignature;
use keyfold_wallet::payload::{ANY_CHAIN, Call, abi_encode};
use keyfold_wallet::session::{
    Attestation, SessionReader, SessionRequest, UsageLimit, increment_data, recover_encoded,
};
use keyfold_wallet::signature::Request;

use crate::chain::{Answer, CHAIN_ID, Chain, NOW};
use crate::keys::{Keys, recover};
use crate::mocks::{WELCOMING, sapient_call};
use crate::mutate::mutate;
use crate::rng::Rng;
use crate::verdict::{Table, Tally};

pub(crate) struct Sessions {
    chain: Chain,
    keys: Keys,
    table: Table,
}

/// What the session manager reads of the chain.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) usage: BTreeMap<B256, U256>,
}

impl SessionReader for World {
    fn ecrecover(&self, hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
        recover(hash, signature)
    }

    fn now_unix_seconds(&self) -> u64 {
        NOW
    }

    fn chain_id(&self) -> u64 {
        CHAIN_ID
    }

    fn limit_usage(&self, _wallet: &Address, usage_hash: &B256) -> Option<U256> {
        Some(self.usage.get(usage_hash).copied().unwrap_or_default())
    }

    fn accept_implicit_request(
        &self,
        target: &Address,
        wallet: &Address,
        attestation: &Attestation,
        _call: &Call,
    ) -> Option<B256> {
        (*target == WELCOMING).then(|| attestation.magic(wallet))
    }
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            chain: Chain::new(),
            keys: Keys::secp256k1(),
            table: Table::new(errors::ERRORS, &["Sessions"]),
        }
    }

    /// One signature, and three that come of it.
    pub(crate) fn run(&mut self, mut rng: Rng, tally: &mut Tally) {
        let rng = &mut rng;
        let manager = self.chain.at("Sessions");
        let wallet = rng.address();
        let made = build::signature(rng, &self.keys, wallet, manager);
        let places = places::places(&made.bytes);
        let chain_id = if made.no_chain_id {
            ANY_CHAIN
        } else {
            CHAIN_ID
        };
        if !made.world.usage.is_empty() {
            let used: Vec<UsageLimit> = made
                .world
                .usage
                .iter()
                .map(|(usage_hash, amount)| UsageLimit {
                    usage_hash: *usage_hash,
                    amount: *amount,
                })
                .collect();
            let answer = self
                .chain
                .ask_on(wallet, manager, increment_data(&used).into());
            assert!(matches!(answer, Answer::Returned(..)), "{answer:?}");
        }
        let donor = made.donor.clone();
        for variant in 0..4 {
            let bytes = match variant {
                0 => made.bytes.clone(),
                _ => mutate(rng, &made.bytes, &places, &donor),
            };
            let asked = Request {
                payload: &made.payload,
                wallet,
                chain_id,
            };
            let answer = self
                .chain
                .ask_on(wallet, manager, sapient_call(&asked, &bytes));
            let request = SessionRequest {
                payload: &made.payload,
                wallet,
                chain_id,
                manager,
            };
            let rust = recover_encoded(&request, &bytes, &made.world)
                .map_err(|error| errors::name_of(&error, &bytes));
            tally.compare(
                &self.table,
                (&answer, &rust),
                |root, answer| answer.word(0) == *root,
                || {
                    format!(
                        "wallet {wallet}, usage {:?}, payload {}, signature {}",
                        made.world.usage,
                        hex::encode(abi_encode(&made.payload, made.no_chain_id)),
                        hex::encode(&bytes)
                    )
                },
            );
        }
        self.chain.forget();
    }
}
