//! The shortest signature that suffices, and that hiding never changes a root.

use std::collections::BTreeSet;

use super::*;

fn signer(byte: u8, weight: u8) -> Topology {
    Topology::Signer {
        address: owner(byte),
        weight,
    }
}

fn of_nine() -> ValidConfig {
    let leaves = (1..=9).map(|byte| signer(byte, 1)).collect();
    ValidConfig::new(Config {
        threshold: 3,
        checkpoint: 1,
        checkpointer: None,
        topology: balanced_tree(leaves).unwrap(),
    })
    .unwrap()
}

fn signed(keys: &[u8]) -> Parts {
    let hash = message().op_hash(&WALLET, 1);
    keys.iter()
        .map(|key| (owner(*key), SignaturePart::EcdsaHash(sign(*key, &hash))))
        .collect()
}

fn recovered(bytes: &[u8]) -> Recovered {
    let payload = message();
    recover(&request(&payload), &decode(bytes).unwrap(), &ecrecover).unwrap()
}

#[test]
fn what_is_not_needed_is_hidden_and_left_out() {
    let config = of_nine();
    let header = Header::default();
    let three = encode_minimal(&config, &signed(&[1, 2, 3]), &header).unwrap();
    let full = encode(&config, &signed(&[1, 2, 3]), &header).unwrap();
    assert!(three.len() < full.len(), "{} {}", three.len(), full.len());
    let seven = encode_minimal(&config, &signed(&[1, 2, 3, 4, 5, 6, 7]), &header).unwrap();
    for bytes in [&three, &full, &seven] {
        let recovered = recovered(bytes);
        assert_eq!(recovered.image_hash, config.image_hash());
        assert_eq!(recovered.weight, U256::from(3));
    }
}

#[test]
fn two_of_nine_keep_their_parts() {
    let config = of_nine();
    let two = signed(&[4, 9]);
    assert_eq!(needed_parts(&config, &two), two);
    let bytes = encode_minimal(&config, &two, &Header::default()).unwrap();
    let payload = message();
    let result = recover(&request(&payload), &decode(&bytes).unwrap(), &ecrecover);
    let weight = U256::from(2);
    let expected = RecoverError::InsufficientWeight {
        threshold: 3,
        weight,
    };
    assert_eq!(result, Err(expected));
}

#[test]
fn an_approved_digest_stays_visible() {
    let digest = Topology::Subdigest(message().op_hash(&WALLET, 1));
    let others = balanced_tree((2..=6).map(|byte| signer(byte, 1)).collect()).unwrap();
    let config = ValidConfig::new(Config {
        threshold: 1,
        checkpoint: 0,
        checkpointer: None,
        topology: Topology::branch(others, Topology::branch(signer(1, 1), digest)),
    })
    .unwrap();
    let bytes = encode_minimal(&config, &Parts::new(), &Header::default()).unwrap();
    assert_eq!(recovered(&bytes).image_hash, config.image_hash());
}

#[test]
fn a_part_of_a_stranger_is_refused() {
    let result = encode_minimal(&of_nine(), &signed(&[1, 10]), &Header::default());
    assert_eq!(result, Err(EncodeError::UnknownSigner(owner(10))));
}

proptest! {
    #[test]
    fn pruning_never_changes_the_root(topology in any_tree(), pick in any::<u64>()) {
        let needed: BTreeSet<Address> = topology
            .signers()
            .into_iter()
            .enumerate()
            .filter(|(index, _)| pick >> (index % 64) & 1 == 1)
            .map(|(_, address)| address)
            .collect();
        let pruned = topology.pruned(&needed);
        prop_assert_eq!(pruned.hash(), topology.hash());
        prop_assert_eq!(pruned.weight_of(&needed), topology.weight_of(&needed));
        prop_assert!(pruned.signers().is_superset(&needed));
        let bytes = |topology| {
            let config = Config { threshold: 1, checkpoint: 0, checkpointer: None, topology };
            encode_unsigned(&config, &Header::default()).unwrap()
        };
        let (short, long) = (bytes(pruned.clone()), bytes(topology));
        prop_assert!(short.len() <= long.len());
        prop_assert_eq!(pruned.pruned(&needed), pruned);
        let decoded = decode(&short).unwrap();
        prop_assert_eq!(decoded.encode(Encoding::Shortest).unwrap(), short.to_vec());
    }

    #[test]
    fn what_is_read_is_written_again(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(decoded) = decode(&bytes) {
            let again = decoded.encode(Encoding::Shortest).unwrap();
            prop_assert!(again.len() <= bytes.len());
            prop_assert_eq!(decode(&again).unwrap(), decoded.clone());
            let npm = decoded.encode(Encoding::Npm).unwrap();
            prop_assert_eq!(decode(&npm).unwrap(), decoded);
        }
    }
}

proptest! {
    // Every case signs dozens of times.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_order_of_signing_gives_the_same_bytes(keys in Just((1u8..=9).collect::<Vec<_>>()).prop_shuffle(), count in 3usize..9) {
        let config = of_nine();
        let mut some = keys;
        some.truncate(count);
        let mut sorted = some.clone();
        sorted.sort_unstable();
        for minimal in [true, false] {
            let make = |keys: &[u8]| {
                let mut parts = Parts::new();
                for key in keys {
                    parts.extend(signed(&[*key]));
                }
                let header = Header::default();
                if minimal {
                    encode_minimal(&config, &parts, &header).unwrap()
                } else {
                    encode(&config, &parts, &header).unwrap()
                }
            };
            let bytes = make(&some);
            prop_assert_eq!(&bytes, &make(&sorted));
            prop_assert_eq!(recovered(&bytes).image_hash, config.image_hash());
        }
    }
}
