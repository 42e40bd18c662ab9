//! Vectors of the format description (section 12) and of the npm package; the manager's rules.

use alloy_primitives::{Address, B256, Bytes, U256, address, b256, hex, keccak256};
use proptest::prelude::*;

use super::*;
use crate::Encoding;
use crate::payload::Call;
use crate::signature::tests::{owner, sign};

mod attack;
mod package;
mod properties;
mod world;

const A: Address = Address::repeat_byte(0x11);
const B: Address = Address::repeat_byte(0x22);
const C: Address = Address::repeat_byte(0x33);
const WALLET: Address = address!("9216f3b1ab1a872bed72da41d0832e285f8a7de6");

fn at_most_100() -> Rule {
    Rule {
        cumulative: true,
        comparison: Comparison::AtMost,
        value: B256::from(U256::from(100)),
        offset: U256::from(36),
        mask: B256::repeat_byte(0xff),
    }
}

/// The session of section 12, for any key.
fn session(signer: Address) -> SessionPermissions {
    SessionPermissions {
        signer,
        chain_id: 1,
        value_limit: U256::from(1000),
        deadline: 2_000_000_000,
        permissions: vec![Permission {
            target: C,
            rules: vec![at_most_100()],
        }],
    }
}

fn attestation(approved_signer: Address) -> Attestation {
    Attestation {
        approved_signer,
        identity_type: hex!("00000001").into(),
        issuer_hash: B256::repeat_byte(1),
        audience_hash: B256::repeat_byte(2),
        application_data: hex!("0304").into(),
        redirect_url: Bytes::from_static(b"https://x.y"),
        issued_at: 1_700_000_000,
    }
}

#[test]
fn trees_match_published_vectors() {
    let empty = SessionTopology::empty(A).unwrap();
    assert_eq!(
        hex::encode(empty.encode(Encoding::Npm).unwrap()),
        "211630401111111111111111111111111111111111111111"
    );
    assert_eq!(
        empty.hash().unwrap(),
        b256!("97b30670649c7dc653ae0f3edb5ccde9bffd072c0714ec259785e1b1523b0789")
    );
    let one = empty.with_session(session(B)).unwrap();
    assert_eq!(
        one.hash().unwrap(),
        b256!("4a7d761e81b140c2ef181d76e25cf91fa237079f46a18fe99d5a4e68e1bb9f7f")
    );
    let start = format!("21ec3021e940{}00{}", hex::encode(A), hex::encode(B));
    let wire = hex::encode(one.encode(Encoding::Npm).unwrap());
    assert!(wire.starts_with(&start), "{wire}");
}

#[test]
fn usage_hashes_match_published_vectors() {
    let session = session(B);
    assert_eq!(
        rule_usage_hash(&B, &session.permissions[0], 0),
        b256!("a2688be605a3c0564e803626faee76b86d7320ebf268194b9ff3a08aa21f6bd3")
    );
    assert_eq!(
        value_usage_hash(&B),
        b256!("c10ca6fb9d637c4d9d335a4784f210a4148b3af2cffa10e920ad97e2aeb1c9da")
    );
}

#[test]
fn attestation_matches_published_vectors() {
    let attestation = attestation(B);
    assert_eq!(
        attestation.hash(),
        Some(b256!(
            "6c330dcd85cc1dbab20b83d1bfac54e85efe56dd447391b9912984392d1852ff"
        ))
    );
    assert_eq!(
        attestation.magic(&WALLET),
        b256!("0dbec860426bcf5d74f79f141c121621d2cd4a0a80850ae3b9370b2cbd927713")
    );
    assert_eq!(
        keccak256("acceptImplicitRequest"),
        b256!("8e8d158b02ab6dafbfd099155be84cfa8c39dda10b0b43d8bcc9de67c8d36bac")
    );
}

#[test]
fn call_hash_matches_published_vector() {
    let payload_hash = b256!("810944a35254a18e4ddf0250a16637dcd17ea7c92dfe67c58c93bfc7a10b92cb");
    assert_eq!(
        call_hash(&payload_hash, 0),
        b256!("63d31018e336c86eb0f2ae9d82fca383eac292b42a559663831caa434bead5e9")
    );
}

#[test]
fn increment_selector_is_that_of_the_function() {
    let hash = keccak256("incrementUsageLimit((bytes32,uint256)[])");
    assert_eq!(INCREMENT_USAGE_LIMIT, hash[..4]);
}

#[test]
fn sessions_are_added_and_removed() {
    let tree = SessionTopology::empty(A).unwrap();
    let two = tree
        .clone()
        .with_session(session(B))
        .unwrap()
        .with_session(session(C))
        .unwrap();
    assert_eq!(two.session_signers(), [B, C]);
    assert_eq!(
        two.clone().with_session(session(B)),
        Err(SessionTreeError::SignerExists(B))
    );
    assert_eq!(
        tree.clone().without_session(&B),
        Err(SessionTreeError::UnknownSigner(B))
    );
    let back = two
        .without_session(&B)
        .unwrap()
        .without_session(&C)
        .unwrap();
    assert_eq!(back, tree);
}

#[test]
fn blacklist_stays_sorted_and_has_nobody_twice() {
    let mut tree = SessionTopology::empty(A).unwrap();
    for address in [C, A, B] {
        tree = tree.with_blacklisted(address).unwrap();
    }
    assert_eq!(tree.blacklist(), Some(&[A, B, C][..]));
    assert_eq!(tree.check(), Ok(()));
    assert_eq!(
        tree.clone().with_blacklisted(B),
        Err(SessionTreeError::Blacklisted(B))
    );
    let tree = tree.without_blacklisted(&B).unwrap();
    assert_eq!(tree.blacklist(), Some(&[A, C][..]));
    assert_eq!(
        tree.without_blacklisted(&B),
        Err(SessionTreeError::NotBlacklisted(B))
    );
}

#[test]
fn a_blacklist_without_addresses_takes_a_byte_and_its_hash_where_the_package_hides_it() {
    let tree = SessionTopology::empty(A)
        .and_then(|tree| tree.with_session(session(B)))
        .unwrap();
    let hash = hex::encode(keccak256([3]));
    let start = |tree: &SessionTopology, encoding| {
        let shown = tree.minimised(&[B], false, &A, encoding).unwrap();
        assert_eq!(shown.hash(), tree.hash());
        hex::encode(shown.encode(encoding).unwrap())
    };
    let shortest = start(&tree, Encoding::Shortest);
    assert!(shortest.starts_with("3021e940"), "{shortest}");
    let npm = start(&tree, Encoding::Npm);
    let head = format!("22010c10{hash}21e940");
    assert!(npm.starts_with(&head), "{npm}");
    // One with addresses is longer than its hash.
    let tree = tree.with_blacklisted(C).unwrap();
    let shortest = start(&tree, Encoding::Shortest);
    assert!(shortest.starts_with("10"), "{shortest}");
    // Nothing else being shown beside it, the hash of both is shorter.
    let tree = SessionTopology::Branch(vec![
        SessionTopology::Branch(vec![
            SessionTopology::Blacklist(Vec::new()),
            SessionTopology::Session(session(C)),
        ]),
        SessionTopology::IdentitySigner(A),
    ]);
    let shortest = start(&tree, Encoding::Shortest);
    assert_eq!(shortest.len(), 2 * (33 + 21), "{shortest}");
}

#[test]
fn the_last_identity_signer_stays() {
    let tree = SessionTopology::empty(A).unwrap();
    assert_eq!(
        tree.clone().without_identity_signer(&A),
        Err(SessionTreeError::NoIdentitySigner)
    );
    let two = tree.with_identity_signer(B).unwrap();
    let one = two.without_identity_signer(&A).unwrap();
    assert_eq!(one.identity_signers(), [B]);
}
