use alloy_primitives::Address;
use keyfold_wallet::Encoding;
use keyfold_wallet::config::{Config, Topology, ValidConfig, balanced_tree};
use keyfold_wallet::signature::{Header, encode_unsigned};
use serde_json::json;

use crate::{A, B, C, NODE, Vectors, hex};

pub(crate) fn signer(address: Address, weight: u8) -> Topology {
    Topology::Signer { address, weight }
}

pub(crate) fn config(threshold: u16, checkpoint: u64, topology: Topology) -> Config {
    Config {
        threshold,
        checkpoint,
        checkpointer: None,
        topology,
    }
}

fn nested(threshold: u16, weight: u8, tree: Topology) -> Topology {
    Topology::Nested {
        tree: Box::new(tree),
        weight,
        threshold,
    }
}

/// The second configuration of format section 12.
fn deep() -> Config {
    let inner = nested(2, 3, Topology::branch(signer(C, 1), Topology::Node(NODE)));
    Config {
        checkpointer: Some(C),
        ..config(
            2,
            300,
            Topology::branch(signer(A, 1), Topology::branch(signer(B, 16), inner)),
        )
    }
}

#[test]
fn configurations() {
    let mut vectors = Vectors::new(
        "Configurations with their image hash, and their encoding when nobody signed, for every chain",
    );
    let every_leaf = balanced_tree(vec![
        signer(A, 255),
        Topology::Sapient {
            address: B,
            weight: 2,
            image_hash: NODE,
        },
        Topology::Subdigest(NODE),
        Topology::AnyAddressSubdigest(NODE),
        nested(300, 0, signer(C, 200)),
        Topology::Node(NODE),
    ])
    .unwrap();
    let many = (1..=40).map(|byte| signer(Address::repeat_byte(byte), 1));
    for (name, config) in [
        ("one_signer", config(1, 0, signer(A, 1))),
        ("section_12", deep()),
        ("every_leaf", config(0x1234, (1 << 56) - 1, every_leaf)),
        (
            "forty_signers",
            config(20, 256, balanced_tree(many.collect()).unwrap()),
        ),
    ] {
        let unsigned = |encoding| {
            let header = Header {
                no_chain_id: true,
                checkpointer_data: None,
                encoding,
            };
            hex(encode_unsigned(&config, &header).unwrap())
        };
        vectors.valid(
            name,
            json!({
                "config": config,
                "imageHash": config.image_hash(),
                "unsigned": { "npm": unsigned(Encoding::Npm), "shortest": unsigned(Encoding::Shortest) },
            }),
        );
    }

    let too_deep = (0..60).fold(signer(A, 1), |tree, _| Topology::branch(tree, signer(A, 1)));
    let no_checkpointer = Config {
        checkpointer: Some(Address::ZERO),
        ..config(1, 0, signer(A, 1))
    };
    for (name, config) in [
        ("zero_threshold", config(0, 0, signer(A, 1))),
        ("unreachable_threshold", config(2, 0, signer(A, 1))),
        (
            "unreachable_nested_threshold",
            config(1, 0, nested(2, 1, signer(A, 1))),
        ),
        (
            "zero_nested_threshold",
            config(1, 0, nested(0, 1, signer(A, 1))),
        ),
        ("zero_signer", config(1, 0, signer(Address::ZERO, 1))),
        ("zero_checkpointer", no_checkpointer),
        ("checkpoint_too_large", config(1, 1 << 56, signer(A, 1))),
        ("too_deep", config(1, 0, too_deep)),
        (
            "hidden_node",
            config(1, 0, Topology::branch(signer(A, 1), Topology::Node(NODE))),
        ),
    ] {
        vectors.invalid(name, json!({ "config": config }), ValidConfig::new(config));
    }
    vectors.check("config");
}
