//! Makes `contracts/test/vectors.json`: what this crate encodes, for the contracts' tests to run on a
//! real EVM. Fails, and prints the new file, when an encoding changed.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, Bytes, U256, keccak256};

use crate::config::{Config, Topology, ValidConfig, default_tree};
use crate::payload::{ANY_CHAIN, Call, Payload, PayloadBody, pack};
use crate::signature::tests::{owner, sign};
use crate::signature::{Header, Parts, SignaturePart, encode, encode_chain};
use crate::{Context, Encoding, abi, wallet_address};

const CHAIN: u64 = 1;
const TARGET: Address = Address::repeat_byte(0x77);

struct Wallet {
    address: Address,
    config: ValidConfig,
}

impl Wallet {
    fn parts(&self, keys: &[u8], payload: &Payload, chain_id: u64) -> Parts {
        let hash = payload.op_hash(&self.address, chain_id);
        keys.iter()
            .map(|key| (owner(*key), SignaturePart::EcdsaHash(sign(*key, &hash))))
            .collect()
    }

    fn sign(&self, keys: &[u8], payload: &Payload, encoding: Encoding) -> Bytes {
        let header = Header {
            encoding,
            ..Header::default()
        };
        encode(&self.config, &self.parts(keys, payload, CHAIN), &header).unwrap()
    }

    fn execute(&self, payload: &Payload, signature: &[u8]) -> String {
        let packed = pack(payload, Some(&self.address), Encoding::Shortest).unwrap();
        abi::execute(&packed, signature).to_string()
    }
}

fn transfer(space: u64, wei: u64) -> Payload {
    let call = Call::new(TARGET, U256::from(wei), Bytes::new());
    Payload::calls(U160::from(space), 0, vec![call])
}

#[test]
fn committed_contract_vectors_are_what_is_encoded() {
    let context = Context::keyfold();
    let config = default_tree(owner(1), Some(owner(2))).unwrap();
    let wallet = Wallet {
        address: wallet_address(&config.image_hash(), &context),
        config,
    };

    let next = ValidConfig::new(Config {
        threshold: 1,
        checkpoint: 1,
        checkpointer: None,
        topology: Topology::Signer {
            address: owner(3),
            weight: 1,
        },
    })
    .unwrap();
    let update = Payload::from(PayloadBody::ConfigUpdate(next.image_hash()));
    let chained = transfer(7, 6);
    let newest = Wallet {
        address: wallet.address,
        config: next.clone(),
    };
    let chain = encode_chain(&[
        (
            &next,
            &newest.parts(&[3], &chained, CHAIN),
            Header::default(),
        ),
        (
            &wallet.config,
            &wallet.parts(&[1, 2], &update, ANY_CHAIN),
            Header {
                no_chain_id: true,
                ..Header::default()
            },
        ),
    ])
    .unwrap();

    let call = abi::update_image_hash(&next.image_hash());
    let store = Payload::calls(
        U160::ZERO,
        0,
        vec![Call::new(wallet.address, U256::ZERO, call)],
    );
    let text = Bytes::from_static(b"hello");
    let message = Payload::from(PayloadBody::Message(text.clone()));
    let pay = transfer(0, 5);

    let expected = serde_json::json!({
        "wallet": wallet.address.to_string(),
        "deploy": abi::deploy(&context.stage1, &wallet.config.image_hash()).to_string(),
        "execute": wallet.execute(&pay, &wallet.sign(&[1, 2], &pay, Encoding::Shortest)),
        "executeWithoutGuard": wallet.execute(&pay, &wallet.sign(&[1], &pay, Encoding::Shortest)),
        "executeChained": wallet.execute(&chained, &chain),
        "nextImageHash": next.image_hash().to_string(),
        "updateImageHash": wallet.execute(&store, &wallet.sign(&[1, 2], &store, Encoding::Npm)),
        "messageHash": keccak256(&text).to_string(),
        "messageShortest": wallet.sign(&[1, 2], &message, Encoding::Shortest).to_string(),
        "messageNpm": wallet.sign(&[1, 2], &message, Encoding::Npm).to_string(),
    });
    let committed: serde_json::Value =
        serde_json::from_str(include_str!("../../../contracts/test/vectors.json")).unwrap();
    assert!(
        committed == expected,
        "contracts/test/vectors.json should be:\n{}",
        serde_json::to_string_pretty(&expected).unwrap()
    );
}
