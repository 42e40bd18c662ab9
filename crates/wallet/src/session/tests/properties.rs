//! For every tree: encoding, hiding and reading never change the root, and nothing panics.

use alloy_sol_types::{SolCall, SolValue, sol};

use super::*;

sol! {
    struct ParameterRule {
        bool cumulative;
        uint8 operation;
        bytes32 value;
        uint256 offset;
        bytes32 mask;
    }
    struct AbiPermission {
        address target;
        ParameterRule[] rules;
    }
    struct AbiUsage {
        bytes32 usageHash;
        uint256 usageAmount;
    }
    function incrementUsageLimit(AbiUsage[] limits) external;
}

fn word() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

fn any_address() -> impl Strategy<Value = Address> {
    (1u8.., any::<[u8; 19]>()).prop_map(|(first, rest)| {
        let mut bytes = [first; 20];
        bytes[1..].copy_from_slice(&rest);
        bytes.into()
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (any::<bool>(), 0u8..4, word(), 0u64..300, word()).prop_map(
        |(cumulative, comparison, value, offset, mask)| Rule {
            cumulative,
            comparison: Comparison::from_number(comparison).unwrap(),
            value,
            offset: U256::from(offset),
            mask: mask | B256::with_last_byte(1),
        },
    )
}

fn any_permission() -> impl Strategy<Value = Permission> {
    (any_address(), prop::collection::vec(any_rule(), 0..4))
        .prop_map(|(target, rules)| Permission { target, rules })
}

fn any_session() -> impl Strategy<Value = SessionPermissions> {
    (
        any_address(),
        any::<u64>(),
        word(),
        any::<u64>(),
        prop::collection::vec(any_permission(), 0..4),
    )
        .prop_map(
            |(signer, chain_id, limit, deadline, permissions)| SessionPermissions {
                signer,
                chain_id,
                value_limit: limit.into(),
                deadline,
                permissions,
            },
        )
}

/// A tree by the library's own operations: sessions, blacklist, two identity signers.
fn any_tree() -> impl Strategy<Value = SessionTopology> {
    (
        prop::collection::vec(any_session(), 0..6),
        prop::collection::btree_set(any_address(), 0..20),
        any::<bool>(),
    )
        .prop_map(|(sessions, listed, second)| {
            let mut tree = SessionTopology::empty(A).unwrap();
            for session in sessions {
                tree = tree.clone().with_session(session).unwrap_or(tree);
            }
            for address in listed {
                tree = tree.with_blacklisted(address).unwrap();
            }
            if second {
                tree = tree.with_identity_signer(B).unwrap();
            }
            tree
        })
}

proptest! {
    #[test]
    fn hiding_never_changes_the_root(tree in any_tree(), pick in any::<u8>(), implicit in any::<bool>()) {
        prop_assert_eq!(tree.check(), Ok(()));
        let signers = tree.session_signers();
        let used: Vec<Address> = signers
            .into_iter()
            .enumerate()
            .filter(|(index, _)| pick >> index & 1 == 1)
            .map(|(_, signer)| signer)
            .collect();
        let small = tree.minimised(&used, implicit, &A, Encoding::Npm).unwrap();
        prop_assert_eq!(small.hash(), tree.hash());
        prop_assert_eq!(small.identity_signers(), vec![A]);
        prop_assert_eq!(small.blacklist().is_some(), implicit);
        prop_assert_eq!(small.session_signers(), used.clone());
        let shortest = tree.minimised(&used, implicit, &A, Encoding::Shortest).unwrap();
        prop_assert_eq!(shortest.hash(), tree.hash());
        prop_assert_eq!(shortest.identity_signers(), vec![A]);
        prop_assert_eq!(shortest.session_signers(), used);
        let length = |tree: &SessionTopology| tree.encode(Encoding::Shortest).unwrap().len();
        prop_assert!(length(&shortest) <= length(&small));
        for encoding in [Encoding::Npm, Encoding::Shortest] {
            let bytes = small.encode(encoding).unwrap();
            let read = SessionTopology::decode(&bytes).unwrap();
            prop_assert_eq!(read.hash(), tree.hash());
            prop_assert_eq!(read.encode(Encoding::Shortest), small.encode(Encoding::Shortest));
            if encoding == Encoding::Npm {
                prop_assert_eq!(read, small.clone());
            }
        }
    }

    #[test]
    fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), calls in 0usize..4) {
        if let Ok(tree) = SessionTopology::decode(&bytes) {
            prop_assert!(tree.hash().is_ok());
            prop_assert!(tree.encode(Encoding::Shortest).unwrap().len() <= bytes.len());
        }
        if let Ok(signature) = SessionSignature::decode(&bytes, calls) {
            prop_assert!(signature.encode(Encoding::Shortest).is_ok());
        }
        if let Ok(attestation) = Attestation::unpack(&bytes) {
            prop_assert_eq!(attestation.pack(Encoding::Shortest).unwrap(), bytes);
        }
    }

    #[test]
    fn usage_hash_matches_a_second_encoder(signer in any_address(), permission in any_permission()) {
        let rules = permission.rules.iter().map(|rule| ParameterRule {
            cumulative: rule.cumulative,
            operation: rule.comparison as u8,
            value: rule.value,
            offset: rule.offset,
            mask: rule.mask,
        });
        let second = AbiPermission { target: permission.target, rules: rules.collect() };
        for index in 0..permission.rules.len() {
            let bytes = (signer, second.clone(), U256::from(index)).abi_encode_params();
            prop_assert_eq!(rule_usage_hash(&signer, &permission, index), keccak256(bytes));
        }
    }

    #[test]
    fn increment_data_matches_a_second_encoder(totals in prop::collection::vec((word(), word()), 0..5)) {
        let ours: Vec<UsageLimit> = totals
            .iter()
            .map(|(hash, amount)| UsageLimit { usage_hash: *hash, amount: (*amount).into() })
            .collect();
        let second = totals
            .into_iter()
            .map(|(hash, amount)| AbiUsage { usageHash: hash, usageAmount: amount.into() });
        let call = incrementUsageLimitCall { limits: second.collect() };
        prop_assert_eq!(increment_data(&ours).to_vec(), call.abi_encode());
    }

    #[test]
    fn a_rule_sees_what_is_there_and_nothing_else(
        data in prop::collection::vec(any::<u8>(), 0..80),
        offset in 0usize..100,
        mask in prop_oneof![Just(B256::repeat_byte(0xff)), word(), Just(B256::with_last_byte(1))],
        tail in any::<[u8; 64]>(),
    ) {
        let rule = Rule { offset: U256::from(offset), mask, ..at_most_100() };
        let mut longer = data.clone();
        longer.extend_from_slice(&tail);
        match rule.value_in(&data) {
            // More bytes behind the calldata, as the chain would have, change nothing.
            Some(value) => prop_assert_eq!(rule.value_in(&longer), Some(value)),
            None => prop_assert!(offset + 32 > data.len()),
        }
        if offset + 32 <= data.len() {
            let word = U256::from_be_slice(&data[offset..offset + 32]);
            prop_assert_eq!(rule.value_in(&data), Some(word & U256::from_be_bytes(mask.0)));
        }
    }
}
