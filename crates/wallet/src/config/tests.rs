//! Vectors of the format description (section 12), and the rules of `ValidConfig`.

use alloy_primitives::{Address, B256, address, b256};

use super::*;

const A: Address = Address::repeat_byte(0x11);
const B: Address = Address::repeat_byte(0x22);
const C: Address = Address::repeat_byte(0x33);

fn signer(address: Address, weight: u8) -> Topology {
    Topology::Signer { address, weight }
}

fn nested(tree: Topology, weight: u8, threshold: u16) -> Topology {
    Topology::Nested {
        tree: Box::new(tree),
        weight,
        threshold,
    }
}

fn config(threshold: u16, topology: Topology) -> Config {
    Config {
        threshold,
        checkpoint: 0,
        checkpointer: None,
        topology,
    }
}

/// `CONFIG2` of the format description.
pub(crate) fn config2() -> Config {
    let inner = Topology::branch(signer(C, 1), Topology::Node(B256::repeat_byte(0xee)));
    let right = Topology::branch(signer(B, 16), nested(inner, 3, 2));
    Config {
        threshold: 2,
        checkpoint: 300,
        checkpointer: Some(C),
        topology: Topology::branch(signer(A, 1), right),
    }
}

#[test]
fn leaf_hashes_match_published_vectors() {
    let digest = B256::repeat_byte(0xcd);
    let sapient = Topology::Sapient {
        address: B,
        weight: 2,
        image_hash: B256::repeat_byte(0xab),
    };
    for (leaf, expected) in [
        (
            signer(A, 1),
            b256!("076a70ea0b64afb3a4afdf11bcc8b96e5895bd5a3a3b734db11d61c5eaa7c0bc"),
        ),
        (
            sapient,
            b256!("ee10f0b31264031e3bd4d4a6686a0bca73ee63d44f466fea9abe16d535258d9c"),
        ),
        (
            Topology::Subdigest(digest),
            b256!("b5923630f3fd2124b58767ff73b930f949e11eadd969526632c4208cbf5a42e8"),
        ),
        (
            Topology::AnyAddressSubdigest(digest),
            b256!("ee1733791d5c43b783383eb3569aa8bff6a8756d06648247c7a98303bc96f3bd"),
        ),
        (
            nested(signer(A, 1), 3, 2),
            b256!("2f45555fc6b491a6eaf18b2c987a47278479e2589121ee02167efd5e2ba6d542"),
        ),
    ] {
        assert_eq!(leaf.hash(), expected);
    }
}

#[test]
fn image_hashes_match_published_vectors() {
    assert_eq!(
        config(1, signer(A, 1)).image_hash(),
        b256!("c11cff97d1826a1599a0b6e75d583c8d1413d721bc3ab0b5808e3b57813f97ce")
    );
    assert_eq!(
        config2().image_hash(),
        b256!("7a99e7c24fb2cef5244f5d81270078395f5108c2bd8e0d5ea889c07febb546df")
    );
}

#[test]
fn json_survives_the_round_trip() {
    let sapient = Topology::Sapient {
        address: B,
        weight: 255,
        image_hash: B256::repeat_byte(0xab),
    };
    let mut all = config2();
    all.topology = Topology::branch(
        all.topology,
        Topology::branch(sapient, Topology::AnyAddressSubdigest(B256::repeat_byte(1))),
    );
    let text = serde_json::to_string(&all).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), all);
}

#[test]
fn json_has_the_documented_form() {
    let value = serde_json::to_value(config(1, signer(A, 1))).unwrap();
    let expected = serde_json::json!({
        "threshold": "1",
        "checkpoint": "0",
        "topology": { "type": "signer", "address": A.to_string(), "weight": "1" },
    });
    assert_eq!(value, expected);
}

#[test]
fn json_with_a_defect_is_refused() {
    let zeros = "0".repeat(64);
    for topology in [
        r#"{"type":"signer","address":"0x1111111111111111111111111111111111111111","weight":1}"#,
        r#"{"type":"signer","address":"0x1111111111111111111111111111111111111111","weight":"256"}"#,
        r#"{"type":"signer","address":"0x1111111111111111111111111111111111111111","weight":"+1"}"#,
        r#"{"type":"signer","address":"1111111111111111111111111111111111111111","weight":"1"}"#,
        r#"{"type":"signer","address":"0x11","weight":"1"}"#,
        r#"{"type":"signer","address":"0x1111111111111111111111111111111111111111"}"#,
        r#"{"type":"subdigest","digest":"0x00"}"#,
        r#"{"type":"other"}"#,
        &format!(r#"["0x{zeros}"]"#),
        &format!(r#"["0x{zeros}","0x{zeros}","0x{zeros}"]"#),
        "17",
        "null",
    ] {
        let text = format!(r#"{{"threshold":"1","checkpoint":"0","topology":{topology}}}"#);
        assert!(serde_json::from_str::<Config>(&text).is_err(), "{text}");
    }
}

#[test]
fn json_nested_without_end_is_refused() {
    let text = format!(
        r#"{{"threshold":"1","checkpoint":"0","topology":{}"#,
        "[".repeat(100_000)
    );
    assert!(serde_json::from_str::<Config>(&text).is_err());
}

#[test]
fn zero_address_is_refused_anywhere() {
    let zero = Address::ZERO;
    let sapient = Topology::Sapient {
        address: zero,
        weight: 1,
        image_hash: B256::ZERO,
    };
    for tree in [
        signer(zero, 0),
        Topology::branch(signer(A, 1), signer(zero, 1)),
        Topology::branch(signer(A, 1), sapient),
        nested(Topology::branch(signer(A, 1), signer(zero, 1)), 1, 1),
    ] {
        assert_eq!(
            ValidConfig::new(config(1, tree)),
            Err(ConfigError::ZeroSigner)
        );
    }
    let with_checkpointer = Config {
        checkpointer: Some(Address::ZERO),
        ..config(1, signer(A, 1))
    };
    assert_eq!(
        ValidConfig::new(with_checkpointer),
        Err(ConfigError::ZeroCheckpointer)
    );
}

#[test]
fn thresholds_of_zero_are_refused() {
    assert_eq!(
        ValidConfig::new(config(0, signer(A, 1))),
        Err(ConfigError::ZeroThreshold)
    );
    let inner = nested(signer(A, 1), 1, 0);
    assert_eq!(
        ValidConfig::new(config(1, inner)),
        Err(ConfigError::ZeroThreshold)
    );
}

#[test]
fn thresholds_nobody_can_reach_are_refused() {
    let unreachable =
        |threshold, weight| Err(ConfigError::UnreachableThreshold { threshold, weight });
    assert_eq!(ValidConfig::new(config(2, signer(A, 1))), unreachable(2, 1));
    assert_eq!(
        ValidConfig::new(config(1, nested(signer(A, 1), 9, 2))),
        unreachable(2, 1)
    );
    let digest = Topology::Subdigest(B256::repeat_byte(1));
    assert_eq!(ValidConfig::new(config(1, digest)), unreachable(1, 0));
}

#[test]
fn weights_that_add_up_beyond_the_threshold_type_are_refused() {
    let leaves = (0..258).map(|_| signer(A, 255)).collect();
    let tree = balanced_tree(leaves).unwrap();
    assert_eq!(
        ValidConfig::new(config(1, tree)),
        Err(ConfigError::WeightOverflow)
    );
}

#[test]
fn a_tree_that_is_too_deep_is_refused() {
    let deep = |levels: usize| {
        (0..levels).fold(signer(A, 1), |tree, _| Topology::branch(tree, signer(B, 1)))
    };
    assert!(ValidConfig::new(config(1, deep(MAX_DEPTH))).is_ok());
    assert_eq!(
        ValidConfig::new(config(1, deep(MAX_DEPTH + 1))),
        Err(ConfigError::TooDeep)
    );
}

#[test]
fn a_hidden_part_needs_to_be_asked_for() {
    assert_eq!(ValidConfig::new(config2()), Err(ConfigError::HiddenNode));
    assert_eq!(
        ValidConfig::with_hidden_nodes(config2()),
        Err(ConfigError::UnreachableThreshold {
            threshold: 2,
            weight: 1
        })
    );
    let half = Topology::branch(signer(A, 1), Topology::Node(B256::repeat_byte(1)));
    assert!(ValidConfig::with_hidden_nodes(config(1, half)).is_ok());
}

#[test]
fn a_checkpoint_beyond_56_bits_is_refused() {
    let late = Config {
        checkpoint: CHECKPOINT_LIMIT,
        ..config(1, signer(A, 1))
    };
    assert_eq!(ValidConfig::new(late), Err(ConfigError::CheckpointTooLarge));
}

#[test]
fn default_tree_needs_owner_and_guard() {
    let tree = default_tree(A, Some(B)).unwrap();
    assert_eq!(tree.threshold, 2);
    assert_eq!(
        tree.topology,
        Topology::branch(nested(signer(A, 1), 1, 1), signer(B, 1))
    );
    let alone = default_tree(A, None).unwrap();
    assert_eq!(alone.topology, nested(signer(A, 1), 2, 1));
}

#[test]
fn default_tree_refuses_a_guard_that_guards_nothing() {
    assert_eq!(default_tree(A, Some(A)), Err(ConfigError::OwnerIsGuard));
    assert_eq!(
        default_tree(A, Some(Address::ZERO)),
        Err(ConfigError::ZeroSigner)
    );
    assert_eq!(
        default_tree(Address::ZERO, None),
        Err(ConfigError::ZeroSigner)
    );
}

#[test]
fn default_tree_hash_is_pinned() {
    let owner = address!("1a642f0e3c3af545e7acbd38b07251b3990914f1");
    assert_eq!(
        default_tree(owner, Some(A)).unwrap().image_hash(),
        b256!("65b45423119fd18d313492d8f4c0a7662d02976f074fa34269e5b37c59253731")
    );
}
