use alloy_primitives::{Address, B256, U256};
use keyfold_wallet::Encoding;
use keyfold_wallet::session::{Comparison, Permission, Rule, SessionPermissions, SessionTopology};
use serde_json::json;

use crate::{A, B, C, NODE, Vectors, hex, unhex};

/// The session of format section 12.
fn session(signer: Address) -> SessionPermissions {
    SessionPermissions {
        signer,
        chain_id: 1,
        value_limit: U256::from(1000),
        deadline: 2_000_000_000,
        permissions: vec![Permission {
            target: C,
            rules: vec![Rule {
                cumulative: true,
                comparison: Comparison::AtMost,
                value: U256::from(100).into(),
                offset: U256::from(36),
                mask: B256::repeat_byte(0xff),
            }],
        }],
    }
}

#[test]
fn sessions() {
    let mut vectors = Vectors::new(
        "Session trees: root and bytes, and what remains visible for the first session, if any. Invalid \
         are bytes that our decoder and our contract refuse",
    );
    let empty = SessionTopology::empty(A).unwrap();
    let one = empty.clone().with_session(session(B)).unwrap();
    let listed = (1..=16).fold(one.clone(), |tree, byte| {
        tree.with_blacklisted(Address::repeat_byte(byte)).unwrap()
    });
    let open = SessionPermissions {
        chain_id: 0,
        deadline: 0,
        value_limit: U256::MAX,
        permissions: (0..3)
            .map(|_| Permission {
                target: A,
                rules: Vec::new(),
            })
            .collect(),
        ..session(C)
    };
    let many = (1..=5).fold(listed.clone(), |tree, byte| {
        tree.with_session(session(Address::repeat_byte(0x40 + byte)))
            .unwrap()
    });
    for (name, tree) in [
        ("empty", empty),
        ("section_12", one),
        ("long_blacklist", listed),
        ("open_session", many.clone().with_session(open).unwrap()),
        ("seven_sessions", many),
    ] {
        let visible: Vec<Address> = tree.session_signers().into_iter().take(1).collect();
        let minimal = tree.minimised(&visible, false, &A, Encoding::Npm).unwrap();
        let shortest = tree
            .minimised(&visible, false, &A, Encoding::Shortest)
            .unwrap();
        assert_eq!(minimal.hash(), tree.hash());
        assert_eq!(shortest.hash(), tree.hash());
        let encoded = |npm: &SessionTopology, shortest: &SessionTopology| {
            json!({
                "npm": hex(npm.encode(Encoding::Npm).unwrap()),
                "shortest": hex(shortest.encode(Encoding::Shortest).unwrap()),
            })
        };
        vectors.valid(
            name,
            json!({
                "topology": tree,
                "root": tree.hash().unwrap(),
                "encoded": encoded(&tree, &tree),
                "visible": visible.iter().map(Address::to_string).collect::<Vec<_>>(),
                "minimised": minimal,
                "minimisedEncoded": encoded(&minimal, &shortest),
            }),
        );
    }

    let (a, b, c) = ("11".repeat(20), "22".repeat(20), "33".repeat(20));
    let node = hex(NODE);
    let node = node.trim_start_matches("0x");
    let head = format!("{} {} 0000000077359400", "00".repeat(32), "00".repeat(32));
    let session = |signer: &str, rest: &str| format!("40{a} 00{signer} {head} {rest}");
    let rule = |flags: &str, mask: &str| format!("01 {c} 01 {flags} {node} {node} {mask}");
    for (name, encoded) in [
        ("empty", String::new()),
        ("no_identity_signer", "30".into()),
        ("two_identity_signers", format!("40{a} 40{b}")),
        ("zero_identity_signer", format!("30 40{}", "00".repeat(20))),
        ("two_blacklists", format!("30 30 40{a}")),
        ("blacklist_out_of_order", format!("32{b}{a} 40{a}")),
        ("address_twice_on_the_blacklist", format!("32{a}{a} 40{a}")),
        ("blacklist_cut_off", format!("40{a} 32{a}")),
        ("wide_blacklist_cut_off", format!("40{a} 3f00")),
        ("identity_signer_cut_off", "30 401111".into()),
        ("node_cut_off", format!("40{a} 10ee")),
        ("zero_node", format!("40{a} 10{}", "00".repeat(32))),
        ("branch_cut_off", format!("40{a} 2105 30")),
        ("empty_branch", format!("40{a} 2100")),
        ("unknown_tag_5", format!("40{a} 50")),
        ("free_bits_of_an_identity_signer", format!("30 41{a}")),
        ("free_bits_of_a_node", format!("40{a} 11{node}")),
        ("free_bits_of_a_session", format!("40{a} 01{b} {head} 00")),
        ("zero_session_signer", session(&"00".repeat(20), "00")),
        ("session_cut_off", format!("40{a} 00{b}")),
        ("permission_cut_off", session(&b, &format!("01 {c}"))),
        (
            "too_many_permissions",
            session(&b, &format!("80 {}", format!("{c} 00").repeat(128))),
        ),
        ("unknown_operation", session(&b, &rule("08", node))),
        (
            "rule_without_mask",
            session(&b, &rule("00", &"00".repeat(32))),
        ),
    ] {
        let bytes = unhex(&encoded);
        vectors.invalid(
            name,
            json!({ "encoded": hex(&bytes) }),
            SessionTopology::decode(&bytes),
        );
    }
    vectors.check("session");
}
