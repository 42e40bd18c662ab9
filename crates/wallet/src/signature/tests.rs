//! Vectors of the format description (section 12), properties, and forged signatures.

use alloy_primitives::{Address, B256, Bytes, U256, address, b256, hex};
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use proptest::prelude::*;

use super::*;
use crate::Encoding;
use crate::config::{Config, Topology, ValidConfig, balanced_tree, default_tree};
use crate::payload::{ANY_CHAIN, Payload, PayloadBody};

const A: Address = Address::repeat_byte(0x11);
const B: Address = Address::repeat_byte(0x22);
const C: Address = Address::repeat_byte(0x33);
const WALLET: Address = address!("9216f3b1ab1a872bed72da41d0832e285f8a7de6");

mod approval;
mod chained;
mod contract_signers;
mod malformed;
mod minimal;
mod package;

fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_sec1_point(false);
    Address::from_raw_public_key(&point.as_bytes()[1..])
}

fn key(byte: u8) -> SigningKey {
    SigningKey::from_slice(&[byte; 32]).unwrap()
}

pub(crate) fn owner(byte: u8) -> Address {
    address_of(key(byte).verifying_key())
}

pub(crate) fn sign(byte: u8, hash: &B256) -> EcdsaSignature {
    let (signature, id) = key(byte).sign_prehash_recoverable(hash.as_slice());
    let mut rsv = [0u8; 65];
    rsv[..64].copy_from_slice(&signature.to_bytes());
    rsv[64] = 27 + u8::from(id.is_y_odd());
    EcdsaSignature::from_rsv(&rsv).unwrap()
}

pub(crate) fn ecrecover(hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
    let rsv = signature.to_rsv();
    let id = RecoveryId::new(signature.y_parity(), false);
    let signature = Signature::from_slice(&rsv[..64]).ok()?;
    VerifyingKey::recover_from_prehash(hash.as_slice(), &signature, id)
        .ok()
        .map(|key| address_of(&key))
}

fn message() -> Payload {
    PayloadBody::Message(Bytes::from_static(b"hello")).into()
}

fn request(payload: &Payload) -> Request<'_> {
    Request {
        payload,
        wallet: WALLET,
        chain_id: 1,
    }
}

fn single(address: Address, weight: u8, threshold: u16) -> ValidConfig {
    let topology = Topology::Signer { address, weight };
    ValidConfig::new(Config {
        threshold,
        checkpoint: 0,
        checkpointer: None,
        topology,
    })
    .unwrap()
}

fn npm() -> Header {
    Header {
        encoding: Encoding::Npm,
        ..Header::default()
    }
}

fn check(config: &ValidConfig, parts: &Parts) -> Result<Recovered, RecoverError> {
    let bytes = encode(config, parts, &Header::default()).unwrap();
    let payload = message();
    recover(&request(&payload), &decode(&bytes).unwrap(), &ecrecover)
}

/// A chain that believes the word "yes", and a checkpointer that repeats what it is told.
struct Chain;

impl Recover for Chain {
    fn ecrecover(&self, hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
        ecrecover(hash, signature)
    }

    fn erc1271(&self, signer: &Address, _: &B256, data: &[u8]) -> Option<bool> {
        Some(signer == &A && data == b"yes")
    }

    fn sapient(&self, _: &Address, _: &Request<'_>, data: &[u8]) -> Option<B256> {
        (data == b"yes").then_some(B256::repeat_byte(9))
    }

    fn sapient_compact(&self, _: &Address, _: &B256, data: &[u8]) -> Option<B256> {
        (data == b"compact").then_some(B256::repeat_byte(9))
    }

    fn snapshot(&self, _: &Address, data: &[u8]) -> Option<(B256, U256)> {
        Some((B256::left_padding_from(data), U256::from(5)))
    }
}

#[test]
fn unsigned_encodings_match_published_vectors() {
    let one = encode_unsigned(&single(A, 1, 1), &npm()).unwrap();
    assert_eq!(hex::encode(one), format!("04000111{}", hex::encode(A)));

    let header = Header {
        no_chain_id: true,
        checkpointer_data: Some(hex!("deadbeef").into()),
        encoding: Encoding::Npm,
    };
    let two = encode_unsigned(&crate::config::tests::config2(), &header).unwrap();
    let expected = format!(
        "4a{c}000004deadbeef012c0211{a}41501010{b}6e00003611{c}30{node}",
        a = hex::encode(A),
        b = hex::encode(B),
        c = hex::encode(C),
        node = "ee".repeat(32)
    );
    assert_eq!(hex::encode(two), expected);
}

#[test]
fn signed_encoding_matches_published_vector() {
    let signer = address!("1a642f0e3c3af545e7acbd38b07251b3990914f1");
    assert_eq!(owner(1), signer);
    let hash = b256!("d324038eab5990b8c22b60a5c029b74dc687b206193499ca85257a35288082ab");
    let parts = Parts::from([(signer, SignaturePart::EcdsaHash(sign(1, &hash)))]);
    assert_eq!(
        hex::encode(encode(&single(signer, 1, 1), &parts, &npm()).unwrap()),
        "04000101cbe1553b24a189f6ae036f6d73feb46d29c685777125ae3869d2948eee595b5a\
         aeb22e77e3549ada4b7f4352129532c7bb6e1fa48c9babf92af8def76e895c2b"
    );
}

#[test]
fn one_key_makes_67_bytes() {
    let payload = message();
    let part = SignaturePart::EcdsaHash(sign(1, &payload.op_hash(&WALLET, 1)));
    let parts = Parts::from([(owner(1), part)]);
    let bytes = encode(&single(owner(1), 1, 1), &parts, &Header::default()).unwrap();
    assert_eq!(bytes.len(), 67);
}

#[test]
fn owner_and_guard_together_suffice() {
    let config = default_tree(owner(1), Some(owner(2))).unwrap();
    let hash = message().op_hash(&WALLET, 1);
    let parts = Parts::from([
        (owner(1), SignaturePart::EcdsaHash(sign(1, &hash))),
        (
            owner(2),
            SignaturePart::EthSign(sign(2, &eth_sign_hash(&hash))),
        ),
    ]);
    let recovered = check(&config, &parts).unwrap();
    assert_eq!(recovered.image_hash, config.image_hash());
    assert_eq!(recovered.weight, U256::from(2));
    assert_eq!(recovered.op_hash, hash);
}

#[test]
fn owner_without_guard_is_refused() {
    let config = default_tree(owner(1), Some(owner(2))).unwrap();
    let hash = message().op_hash(&WALLET, 1);
    for byte in [1, 2] {
        let parts = Parts::from([(owner(byte), SignaturePart::EcdsaHash(sign(byte, &hash)))]);
        let weight = U256::from(1);
        let expected = RecoverError::InsufficientWeight {
            threshold: 2,
            weight,
        };
        assert_eq!(check(&config, &parts), Err(expected));
    }
}

#[test]
fn a_signature_for_a_sibling_wallet_belongs_to_no_configuration_of_ours() {
    let config = single(owner(1), 1, 1);
    let part = SignaturePart::EcdsaHash(sign(1, &message().op_hash(&A, 1)));
    let recovered = check(&config, &Parts::from([(owner(1), part)])).unwrap();
    assert_ne!(recovered.image_hash, config.image_hash());
}

#[test]
fn a_signature_for_every_chain_needs_its_flag() {
    let config = single(owner(1), 1, 1);
    let payload = message();
    let part = SignaturePart::EcdsaHash(sign(1, &payload.op_hash(&WALLET, ANY_CHAIN)));
    let parts = Parts::from([(owner(1), part)]);
    for no_chain_id in [true, false] {
        let header = Header {
            no_chain_id,
            ..Header::default()
        };
        let bytes = encode(&config, &parts, &header).unwrap();
        let recovered = recover(&request(&payload), &decode(&bytes).unwrap(), &ecrecover).unwrap();
        assert_eq!(recovered.image_hash == config.image_hash(), no_chain_id);
    }
}

#[test]
fn a_part_for_a_stranger_is_refused() {
    let hash = message().op_hash(&WALLET, 1);
    let parts = Parts::from([(owner(2), SignaturePart::EcdsaHash(sign(2, &hash)))]);
    let result = encode(&single(owner(1), 1, 1), &parts, &Header::default());
    assert_eq!(result, Err(EncodeError::UnknownSigner(owner(2))));
}

#[test]
fn an_approved_digest_needs_no_signature() {
    let payload = message();
    let digest = payload.op_hash(&WALLET, 1);
    let anywhere = payload.op_hash(&Address::ZERO, 1);
    for leaf in [
        Topology::Subdigest(digest),
        Topology::AnyAddressSubdigest(anywhere),
    ] {
        let tree = Topology::branch(
            Topology::Signer {
                address: A,
                weight: 1,
            },
            leaf,
        );
        let config = Config {
            threshold: 1,
            checkpoint: 0,
            checkpointer: None,
            topology: tree,
        };
        let config = ValidConfig::new(config).unwrap();
        let recovered = check(&config, &Parts::new()).unwrap();
        assert_eq!(
            (recovered.weight, recovered.image_hash),
            (U256::MAX, config.image_hash())
        );
    }
}

#[test]
fn weight_that_wraps_after_a_digest_is_refused() {
    let hash = message().op_hash(&WALLET, 1);
    let tree = Topology::branch(
        Topology::Subdigest(hash),
        Topology::Signer {
            address: owner(1),
            weight: 1,
        },
    );
    let config = Config {
        threshold: 1,
        checkpoint: 0,
        checkpointer: None,
        topology: tree,
    };
    let parts = Parts::from([(owner(1), SignaturePart::EcdsaHash(sign(1, &hash)))]);
    let result = check(&ValidConfig::new(config).unwrap(), &parts);
    assert_eq!(result, Err(RecoverError::WeightOverflow));
}
#[test]
fn a_static_signature_is_left_to_the_chain() {
    let payload = message();
    let decoded = decode(&[0x80]).unwrap();
    assert_eq!(
        recover(&request(&payload), &decoded, &ecrecover),
        Err(RecoverError::Static)
    );
}

fn any_tree() -> impl Strategy<Value = Topology> {
    let address = (1u8..=255).prop_map(Address::repeat_byte);
    let hash = (1u8..=255).prop_map(B256::repeat_byte);
    let leaf = prop_oneof![
        (address.clone(), any::<u8>())
            .prop_map(|(address, weight)| Topology::Signer { address, weight }),
        (address, any::<u8>(), hash.clone()).prop_map(|(address, weight, image_hash)| {
            Topology::Sapient {
                address,
                weight,
                image_hash,
            }
        }),
        hash.clone().prop_map(Topology::Subdigest),
        hash.clone().prop_map(Topology::AnyAddressSubdigest),
        hash.prop_map(Topology::Node),
    ];
    leaf.prop_recursive(5, 40, 2, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone())
                .prop_map(|(left, right)| Topology::branch(left, right)),
            1 => (inner, any::<u8>(), 1u16..).prop_map(|(tree, weight, threshold)| {
                Topology::Nested { tree: Box::new(tree), weight, threshold }
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_encoded_recovers_the_same_root(
        topology in any_tree(),
        threshold in 1u16..,
        checkpoint in 0u64..1 << 56,
        npm in any::<bool>(),
    ) {
        let config = Config { threshold, checkpoint, checkpointer: None, topology };
        let encoding = if npm { Encoding::Npm } else { Encoding::Shortest };
        let bytes = encode_unsigned(&config, &Header { encoding, ..Header::default() }).unwrap();
        let Decoded::Single(chunk) = decode(&bytes).unwrap() else { panic!("not single") };
        // Only the root is of interest: ask for no weight.
        let free = Decoded::Single(Chunk { threshold: 0, ..chunk.clone() });
        let payload = message();
        let recovered = recover(&request(&payload), &free, &ecrecover).unwrap();
        let expected = Config { threshold: 0, ..config.clone() };
        prop_assert_eq!(recovered.image_hash, expected.image_hash());
        prop_assert_eq!((chunk.threshold, chunk.checkpoint), (threshold, checkpoint));
    }

    #[test]
    fn decode_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(decoded) = decode(&bytes) {
            let payload = message();
            let _ = recover(&request(&payload), &decoded, &ecrecover);
        }
    }

    #[test]
    fn a_changed_byte_never_yields_the_same_configuration(at in 0usize..100, xor in 1u8..=255) {
        let config = default_tree(owner(1), Some(owner(2))).unwrap();
        let payload = message();
        let hash = payload.op_hash(&WALLET, 1);
        let parts = Parts::from([
            (owner(1), SignaturePart::EcdsaHash(sign(1, &hash))),
            (owner(2), SignaturePart::EcdsaHash(sign(2, &hash))),
        ]);
        let mut bytes = encode(&config, &parts, &Header::default()).unwrap().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= xor;
        let accepted = decode(&bytes)
            .ok()
            .and_then(|decoded| recover(&request(&payload), &decoded, &ecrecover).ok())
            .is_some_and(|recovered| recovered.image_hash == config.image_hash());
        prop_assert!(!accepted, "byte {at} may be changed");
    }
}

#[test]
fn three_of_five_suffices_in_any_tree_shape() {
    let leaves: Vec<Topology> = (1..=5)
        .map(|byte| Topology::Signer {
            address: owner(byte),
            weight: 1,
        })
        .collect();
    let topology = balanced_tree(leaves).unwrap();
    let config = Config {
        threshold: 3,
        checkpoint: 0,
        checkpointer: None,
        topology,
    };
    let config = ValidConfig::new(config).unwrap();
    let hash = message().op_hash(&WALLET, 1);
    let parts: Parts = [1, 3, 5]
        .map(|b| (owner(b), SignaturePart::EcdsaHash(sign(b, &hash))))
        .into();
    assert_eq!(
        check(&config, &parts).unwrap().image_hash,
        config.image_hash()
    );
}

#[test]
fn npm_encoding_of_contract_signers_matches_the_package() {
    // keccak256 of what `@0xsequence/wallet-primitives` 3.0.9 encodes, by length of the data.
    for (length, expected) in [
        (
            0,
            b256!("e2230a0fa31bddb799bad32792b035a33d0819bb6f96fa73607755293c2e54ad"),
        ),
        (
            126,
            b256!("c87619f49600aa46c1dfbebcf4e55d33f9c2e263efdbdea6288b02b62287a13c"),
        ),
        (
            127,
            b256!("b26c12c6a345c8ea404bc7d011340858d864ae502ec9d07bf4d931218dbe4db8"),
        ),
        (
            300,
            b256!("62f7578c744d3083f4dd7fb65702c147ef8b46fcc24c40a88734f5cbd6f89fed"),
        ),
    ] {
        let never = Topology::Signer {
            address: C,
            weight: 0,
        };
        let nested = Topology::Nested {
            tree: Box::new(never),
            weight: 0,
            threshold: 300,
        };
        let image_hash = B256::repeat_byte(0x44);
        let sapient = Topology::Sapient {
            address: B,
            weight: 2,
            image_hash,
        };
        let signer = Topology::Signer {
            address: A,
            weight: 5,
        };
        let topology = Topology::branch(signer, Topology::branch(sapient, nested));
        let config = Config {
            threshold: 256,
            checkpoint: 0,
            checkpointer: None,
            topology,
        };
        let data = Bytes::from(vec![0xaa; length]);
        let parts = Parts::from([
            (A, SignaturePart::Erc1271(data.clone())),
            (B, SignaturePart::Sapient(data)),
        ]);
        // Nobody can reach this threshold: the package encodes it all the same, and so does the
        // encoder below the judgement.
        let bytes = super::encode::encode_unjudged(&config, &parts, &npm()).unwrap();
        assert_eq!(alloy_primitives::keccak256(bytes), expected, "{length}");
    }
}
