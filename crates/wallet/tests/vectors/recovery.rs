use alloy_primitives::Address;
use keyfold_wallet::Encoding;
use keyfold_wallet::recovery::{RecoveryLeaf, RecoveryTree};
use serde_json::json;

use crate::{A, B, C, Vectors, hex, unhex};

fn leaf(signer: Address, required_delta_seconds: u32, min_timestamp: u64) -> RecoveryLeaf {
    RecoveryLeaf {
        signer,
        required_delta_seconds,
        min_timestamp,
    }
}

#[test]
fn recovery_trees() {
    let mut vectors = Vectors::new(
        "Recovery trees: root, bytes, and the bytes that the last leaf's signer shows. Invalid are bytes \
         that our decoder and our contract refuse",
    );
    for (name, leaves) in [
        ("one_leaf", vec![leaf(A, 100, 1_600_000_000)]),
        (
            "section_12",
            vec![
                leaf(A, 100, 1_600_000_000),
                leaf(C, 0, 0),
                leaf(B, 2_592_000, 0),
            ],
        ),
        (
            "largest_numbers",
            vec![leaf(A, (1 << 24) - 1, u64::MAX), leaf(B, 0, 0)],
        ),
        (
            "one_signer_twice",
            vec![leaf(A, 1, 1), leaf(B, 2, 2), leaf(A, 3, 3)],
        ),
        (
            "ten_leaves",
            (1..=10)
                .map(|byte| leaf(Address::repeat_byte(byte), 60, 0))
                .collect(),
        ),
    ] {
        let tree = RecoveryTree::balanced(&leaves).unwrap();
        let signer = leaves.last().unwrap().signer;
        let texts = leaves.iter().map(|leaf| {
            let RecoveryLeaf {
                signer,
                required_delta_seconds,
                min_timestamp,
            } = leaf;
            format!("signer:{signer}:{required_delta_seconds}:{min_timestamp}")
        });
        vectors.valid(
            name,
            json!({
                "leaves": texts.collect::<Vec<_>>(),
                "root": tree.hash(),
                "encoded": hex(tree.encode(Encoding::Shortest).unwrap()),
                "signer": signer.to_string(),
                "trimmed": hex(tree.trimmed(&signer).unwrap().encode(Encoding::Shortest).unwrap()),
            }),
        );
    }

    let good = format!("01{} 000000 0000000000000000", "11".repeat(20));
    for (name, encoded) in [
        ("empty", String::new()),
        ("leaf_cut_off", "01 1111".into()),
        ("node_cut_off", format!("{good} 03ee")),
        ("branch_cut_off", format!("{good} 04 000021 {good}")),
        ("empty_branch", format!("{good} 04 000000")),
        ("branch_first", format!("04 000020 {good}")),
        (
            "branch_first_in_a_branch",
            format!("{good} 04 000024 04 000020 {good}"),
        ),
        ("zero_node", format!("{good} 03{}", "00".repeat(32))),
        (
            "zero_signer",
            format!("01{} 000000 0000000000000000", "00".repeat(20)),
        ),
        ("unknown_flag_0", format!("{good} 00")),
        ("unknown_flag_2", format!("{good} 02")),
        ("unknown_flag_5", format!("{good} 05")),
    ] {
        let bytes = unhex(&encoded);
        vectors.invalid(
            name,
            json!({ "encoded": hex(&bytes) }),
            RecoveryTree::decode(&bytes),
        );
    }
    vectors.check("recovery");
}
