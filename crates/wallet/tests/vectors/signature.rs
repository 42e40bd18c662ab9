use alloy_primitives::{Address, B256};
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use keyfold_wallet::config::{Config, Topology, ValidConfig};
use keyfold_wallet::payload::{ANY_CHAIN, abi_encode};
use keyfold_wallet::signature::{
    Header, Parts, Request, SignaturePart, decode, encode, encode_chain, eth_sign_hash, recover,
};
use keyfold_wallet::{EcdsaSignature, Encoding, Payload, PayloadBody};
use serde_json::json;

use crate::config::{config, signer};
use crate::payload::transfer;
use crate::{NODE, Vectors, WALLET, hex, unhex};

const CHAIN: u64 = 1;

fn address_of(key: &VerifyingKey) -> Address {
    Address::from_raw_public_key(&key.to_sec1_point(false).as_bytes()[1..])
}

fn key(byte: u8) -> SigningKey {
    SigningKey::from_slice(&[byte; 32]).unwrap()
}

fn owner(byte: u8) -> Address {
    address_of(key(byte).verifying_key())
}

fn sign(byte: u8, hash: &B256) -> EcdsaSignature {
    let (signature, id) = key(byte).sign_prehash_recoverable(hash.as_slice());
    let mut rsv = [27 + u8::from(id.is_y_odd()); 65];
    rsv[..64].copy_from_slice(&signature.to_bytes());
    EcdsaSignature::from_rsv(&rsv).unwrap()
}

fn ecrecover(hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
    let rsv = signature.to_rsv();
    let id = RecoveryId::new(signature.y_parity(), false);
    let signature = Signature::from_slice(&rsv[..64]).ok()?;
    VerifyingKey::recover_from_prehash(hash.as_slice(), &signature, id)
        .ok()
        .map(|key| address_of(&key))
}

fn hashed(byte: u8, hash: &B256) -> (Address, SignaturePart) {
    (owner(byte), SignaturePart::EcdsaHash(sign(byte, hash)))
}

/// Threshold 3: nested(1-of-2), two signers, one of them with a large weight, a digest, a node.
fn family(payload: &Payload) -> Config {
    let pair = Topology::branch(signer(owner(1), 1), signer(owner(2), 2));
    let nested = Topology::Nested {
        tree: Box::new(pair),
        weight: 1,
        threshold: 1,
    };
    let rest = Topology::branch(
        signer(owner(3), 2),
        Topology::branch(signer(owner(4), 20), Topology::Node(NODE)),
    );
    let digest = Topology::Subdigest(payload.op_hash(&WALLET, 99));
    config(
        3,
        7,
        Topology::branch(nested, Topology::branch(digest, rest)),
    )
}

fn header(no_chain_id: bool, encoding: Encoding) -> Header {
    Header {
        no_chain_id,
        checkpointer_data: None,
        encoding,
    }
}

#[test]
fn signatures() {
    let mut vectors = Vectors::new(
        "Signatures of the wallet 0x77…77 on chain 1 and what they prove; the keys are 32 times the \
         byte 1, 2, 3 and 4. Invalid ones are refused by our decoder and by our contracts, though the \
         deployed ones may take them",
    );
    let payload = transfer();
    let config = family(&payload);
    let image_hash = config.image_hash();
    let valid = ValidConfig::with_hidden_nodes(config).unwrap();
    let mut add = |name: &str, npm: Vec<u8>, shortest: Vec<u8>, expected: B256| {
        let request = Request {
            payload: &payload,
            wallet: WALLET,
            chain_id: CHAIN,
        };
        let recovered = recover(&request, &decode(&shortest).unwrap(), &ecrecover).unwrap();
        assert_eq!(recovered.image_hash, expected);
        assert_eq!(
            recover(&request, &decode(&npm).unwrap(), &ecrecover),
            Ok(recovered)
        );
        vectors.valid(
            name,
            json!({
                "wallet": WALLET.to_string(),
                "chainId": CHAIN,
                "payload": hex(abi_encode(&payload, false)),
                "signature": { "npm": hex(npm), "shortest": hex(shortest) },
                "imageHash": recovered.image_hash,
                "threshold": recovered.threshold,
                "weight": recovered.weight.to_string(),
                "checkpoint": recovered.checkpoint,
                "opHash": recovered.op_hash,
            }),
        );
    };
    for (name, chain) in [("one_chain", CHAIN), ("every_chain", ANY_CHAIN)] {
        let hash = payload.op_hash(&WALLET, chain);
        let eth_sign = SignaturePart::EthSign(sign(3, &eth_sign_hash(&hash)));
        let parts = Parts::from([hashed(1, &hash), (owner(3), eth_sign)]);
        let signed = |encoding| {
            let header = header(chain == ANY_CHAIN, encoding);
            encode(&valid, &parts, &header).unwrap().to_vec()
        };
        add(
            name,
            signed(Encoding::Npm),
            signed(Encoding::Shortest),
            image_hash,
        );
    }
    let hash = payload.op_hash(&WALLET, CHAIN);
    let next = ValidConfig::new(crate::config::config(1, 8, signer(owner(4), 1))).unwrap();
    let update = Payload::from(PayloadBody::ConfigUpdate(next.image_hash()));
    let update_hash = update.op_hash(&WALLET, ANY_CHAIN);
    let newest = Parts::from([hashed(4, &hash)]);
    let oldest = Parts::from([hashed(1, &update_hash), hashed(3, &update_hash)]);
    let chained = |encoding| {
        let links = [
            (&next, &newest, header(false, encoding)),
            (&valid, &oldest, header(true, encoding)),
        ];
        encode_chain(&links).unwrap().to_vec()
    };
    add(
        "chained_update",
        chained(Encoding::Npm),
        chained(Encoding::Shortest),
        image_hash,
    );

    let a = "11".repeat(20);
    let (zero, node) = (
        "00".repeat(20),
        format!("30{}", hex(NODE).trim_start_matches("0x")),
    );
    let low = "11".repeat(32);
    let link = format!("00 01 11 {a}");
    for (name, signature) in [
        ("empty", String::new()),
        ("flag_alone", "00".into()),
        ("threshold_cut_off", "20 01".into()),
        ("checkpoint_cut_off", "1c 0000".into()),
        ("no_tree", "00 01".into()),
        ("zero_threshold", format!("00 00 11 {a}")),
        (
            "zero_nested_threshold",
            format!("00 01 64 0000 000015 11 {a}"),
        ),
        ("address_cut_off", "00 01 11 1111".into()),
        ("weight_cut_off", "00 01 10".into()),
        ("hash_cut_off", "00 01 30 ee".into()),
        ("ecdsa_cut_off", format!("00 01 01 {low}")),
        ("branch_cut_off", format!("00 01 11 {a} 41 16 11 {a}")),
        ("nested_cut_off", format!("00 01 65 000016 11 {a}")),
        ("contract_data_cut_off", format!("00 01 25 {a} 02 00")),
        ("branch_first", format!("00 01 41 15 11 {a}")),
        (
            "branch_first_in_nested",
            format!("00 01 65 000017 41 15 11 {a}"),
        ),
        ("empty_branch", format!("00 01 11 {a} 40")),
        ("empty_nested", "00 01 65 000000".into()),
        ("zero_signer", format!("00 01 11 {zero}")),
        ("zero_contract", format!("00 01 21 {zero}")),
        ("zero_sapient", format!("00 01 91 {zero}")),
        ("zero_checkpointer", format!("40 {zero} 000000 01 11 {a}")),
        ("zero_node", format!("00 01 30 {}", "00".repeat(32))),
        (
            "high_s",
            format!(
                "00 01 01 {low} 7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a1"
            ),
        ),
        ("zero_r", format!("00 01 01 {} {low}", "00".repeat(32))),
        ("zero_s", format!("00 01 01 {low} {}", "00".repeat(32))),
        ("unknown_tag_11", "00 01 b0".into()),
        ("unknown_tag_15", "00 01 f0".into()),
        ("free_bits_of_a_node", node.replacen("30", "00 01 31", 1)),
        (
            "free_bits_of_a_subdigest",
            node.replacen("30", "00 01 51", 1),
        ),
        ("static_with_more_flags", "84".into()),
        ("static_with_trailing_byte", "8000".into()),
        ("chain_without_links", "01".into()),
        ("chain_with_more_flags", format!("05 000017 {link}")),
        ("chain_in_a_chain", format!("01 00001b 01 000017 {link}")),
        ("link_cut_off", format!("01 000018 {link}")),
        ("static_link", "01 000001 80".into()),
        (
            "checkpointer_in_the_last_link",
            format!("01 00002b 40 {a} 01 11 {a}"),
        ),
    ] {
        let bytes = unhex(&signature);
        vectors.invalid(name, json!({ "signature": hex(&bytes) }), decode(&bytes));
    }
    vectors.check("signature");
}
