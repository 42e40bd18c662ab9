//! Vectors of the format description (section 12) and of the npm package; early, late and forged.

use alloy_primitives::{Address, B256, Bytes, b256, hex};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::Encoding;
use crate::payload::{Payload, PayloadBody};
use crate::signature::tests::{ecrecover, owner, sign};

const A: Address = Address::repeat_byte(0x11);
const B: Address = Address::repeat_byte(0x22);
const C: Address = Address::repeat_byte(0x33);

fn leaf(signer: Address, required_delta_seconds: u32, min_timestamp: u64) -> RecoveryLeaf {
    RecoveryLeaf {
        signer,
        required_delta_seconds,
        min_timestamp,
    }
}

fn three() -> RecoveryTree {
    RecoveryTree::balanced(&[
        leaf(A, 100, 1_600_000_000),
        leaf(B, 2_592_000, 0),
        leaf(C, 0, 0),
    ])
    .unwrap()
}

#[test]
fn trees_match_published_vectors() {
    let first = b256!("65e4e1834310f04f31c2d5a688b0d09693229564e8e8679a02bd98b148980a35");
    assert_eq!(leaf(A, 100, 1_600_000_000).hash(), first);
    let tree = three();
    assert_eq!(
        tree.hash(),
        b256!("d451503106aeacea18a5938dcb58f40a202addf8eb515b2d93483d7be4e547cb")
    );
    let trimmed = tree.trimmed(&B).unwrap();
    let expected = format!(
        "03{}0400004101{}278d00000000000000000003\
         82ea614f3ae607717cc62130d14cb45f9612fc550183eeca81b5ce0906d7bd12",
        hex::encode(first),
        hex::encode(B)
    );
    assert_eq!(
        hex::encode(trimmed.encode(Encoding::Shortest).unwrap()),
        expected
    );
    assert_eq!(trimmed.hash(), tree.hash());
}

#[derive(Deserialize)]
struct Case {
    leaves: Vec<String>,
    root: B256,
    encoded: Bytes,
    signer: Address,
    trimmed: Bytes,
}

#[test]
fn trees_are_those_of_the_package() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../vectors/recovery.json")).unwrap();
    for case in cases {
        let leaves: Vec<RecoveryLeaf> = case
            .leaves
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let tree = RecoveryTree::balanced(&leaves).unwrap();
        assert_eq!(tree.hash(), case.root);
        assert_eq!(tree.encode(Encoding::Npm).unwrap(), case.encoded);
        let trimmed = tree.trimmed(&case.signer).unwrap();
        assert_eq!(trimmed.encode(Encoding::Npm).unwrap(), case.trimmed);
        let decoded = RecoveryTree::decode(&case.trimmed).unwrap();
        assert_eq!(decoded.hash(), case.root);
        let visible = decoded.leaves();
        assert!(visible.iter().all(|leaf| leaf.signer == case.signer));
    }
}

struct Queue {
    now: u64,
    queued: Option<(Address, u64)>,
}

impl RecoveryReader for Queue {
    fn queued_at(&self, _: &Address, signer: &Address, _: &B256) -> Option<u64> {
        self.queued
            .map(|(by, at)| if by == *signer { at } else { 0 })
    }

    fn now_unix_seconds(&self) -> u64 {
        self.now
    }
}

fn attempt(
    signer: Address,
    queued: Option<(Address, u64)>,
    now: u64,
) -> Result<B256, RecoveryError> {
    let bytes = three()
        .trimmed(&signer)
        .unwrap()
        .encode(Encoding::Shortest)
        .unwrap();
    recover(&bytes, &C, &B256::ZERO, &Queue { now, queued })
}

fn at(at: u64) -> Queued {
    Queued {
        at,
        ..Queued::default()
    }
}

#[test]
fn what_is_cancelled_does_not_count_and_what_is_queued_later_does() {
    let queued = |at| Queued {
        at,
        cancelled_until: 500,
        window_seconds: None,
    };
    let leaf = leaf(A, 100, 0);
    assert_eq!(leaf.state(&queued(500), u64::MAX), QueueState::Cancelled);
    assert_eq!(leaf.state(&queued(501), 601), QueueState::Ready);
}

#[test]
fn what_is_not_used_in_time_expires() {
    let queued = Queued {
        at: 1000,
        cancelled_until: 0,
        window_seconds: Some(KEYFOLD_WINDOW_SECONDS),
    };
    let leaf = leaf(A, 100, 0);
    let last = 1100 + KEYFOLD_WINDOW_SECONDS;
    assert_eq!(leaf.state(&queued, last), QueueState::Ready);
    assert_eq!(leaf.state(&queued, last + 1), QueueState::Expired);
}

#[test]
fn a_payload_counts_when_its_time_has_come_and_not_a_second_before() {
    let root = three().hash();
    let queued = 1_700_000_000;
    let ready = queued + 2_592_000;
    assert_eq!(attempt(B, Some((B, queued)), ready), Ok(root));
    assert_eq!(
        attempt(B, Some((B, queued)), ready - 1),
        Err(RecoveryError::NotReady)
    );
    assert_eq!(
        leaf(B, 2_592_000, 0).state(&at(queued), ready - 1),
        QueueState::Waiting { ready_at: ready }
    );
}

#[test]
fn a_payload_queued_before_the_minimal_time_never_counts() {
    let last = 1_600_000_000;
    assert!(attempt(A, Some((A, last)), last + 100).is_ok());
    assert_eq!(
        attempt(A, Some((A, last - 1)), u64::MAX),
        Err(RecoveryError::NotReady)
    );
    assert_eq!(
        leaf(A, 100, last).state(&at(last - 1), u64::MAX),
        QueueState::TooOld
    );
}

#[test]
fn what_another_signer_queued_does_not_count() {
    assert_eq!(
        attempt(B, Some((C, 1)), u64::MAX),
        Err(RecoveryError::NotReady)
    );
    assert_eq!(attempt(B, None, 0), Err(RecoveryError::Unreadable));
    // A time lock of zero still needs the queue.
    assert_eq!(
        attempt(C, Some((B, 1)), u64::MAX),
        Err(RecoveryError::NotReady)
    );
}

#[test]
fn queueing_is_signed_in_a_domain_of_its_own() {
    let payload = Payload::from(PayloadBody::Message(Bytes::from_static(b"take over")));
    let verify = |hash| {
        let signature = sign(1, &hash);
        verify_queue_signature(&payload, &A, 1, &owner(1), &signature, ecrecover)
    };
    assert!(verify(payload.recovery_hash(&A, 1)));
    assert!(!verify(payload.op_hash(&A, 1)));
    assert!(!verify(payload.recovery_hash(&B, 1)));
    assert!(!verify(payload.recovery_hash(&A, 10)));
    let signature = sign(1, &B256::ZERO);
    assert!(!verify_queue_signature(
        &payload,
        &A,
        1,
        &Address::ZERO,
        &signature,
        |_, _| Some(Address::ZERO)
    ));
}

#[test]
fn malformed_trees_are_refused() {
    use RecoveryTreeError as E;
    let decode = |text: String| RecoveryTree::decode(&hex::decode(text).unwrap());
    let (zero, a) = ("00".repeat(20), "11".repeat(20));
    let times = "000064000000005f5e1000";
    let node = format!("03{}", "07".repeat(32));
    for (text, expected) in [
        (String::new(), E::MalformedTree),
        (format!("01{zero}{times}"), E::ZeroSigner),
        (format!("01{a}"), E::Truncated),
        (format!("03{}", "00".repeat(32)), E::MalformedTree),
        ("00".into(), E::UnknownFlag(0)),
        ("02".into(), E::UnknownFlag(2)),
        (format!("{node}00"), E::UnknownFlag(0)),
        (format!("04000021{node}"), E::MalformedTree),
        (format!("{node}04000000"), E::MalformedTree),
        (format!("{node}04000022{node}"), E::Truncated),
        (node.repeat(100), E::TooDeep),
    ] {
        assert_eq!(decode(text.clone()), Err(expected), "{text}");
    }
    let mut deep = hex::decode(&node).unwrap();
    for _ in 0..200 {
        let length = (deep.len() as u32).to_be_bytes();
        let head = hex::decode(&node).unwrap();
        deep = [&head[..], &[4], &length[1..], &deep].concat();
    }
    assert_eq!(RecoveryTree::decode(&deep), Err(E::TooDeep));
}

struct Keyfold;

const RECOVERY: Address = Address::repeat_byte(0x4e);

impl RecoveryReader for Keyfold {
    fn queued_at(&self, _: &Address, signer: &Address, hash: &B256) -> Option<u64> {
        Some(u64::from(*signer == A && *hash == B256::repeat_byte(7)))
    }

    fn now_unix_seconds(&self) -> u64 {
        1_000
    }

    fn keyfold_contract(&self) -> Option<(Address, u64)> {
        Some((RECOVERY, 31))
    }
}

#[test]
fn any_number_of_items_beside_each_other_is_recovered_as_the_contract_does() {
    let one = RecoveryTree::Leaf(leaf(A, 0, 0));
    let bytes = one.encode(Encoding::Npm).unwrap().repeat(5_000);
    assert_eq!(
        RecoveryTree::decode(&bytes),
        Err(RecoveryTreeError::TooDeep)
    );
    let hash = one.hash();
    let root = (1..5_000).fold(hash, |root, _| crate::bytes::hash_pair(&root, &hash));
    assert_eq!(
        recover(&bytes, &B, &B256::repeat_byte(7), &Keyfold),
        Ok(root)
    );
}

#[test]
fn membership_needs_no_queue_and_is_of_the_shown_signer_alone() {
    let bytes = RecoveryTree::Leaf(leaf(C, 100, 0))
        .encode(Encoding::Npm)
        .unwrap();
    let of = |signer| membership_hash(&RECOVERY, 31, &B, signer);
    assert!(recover(&bytes, &B, &of(&C), &Keyfold).is_ok());
    assert_eq!(
        recover(&bytes, &B, &of(&A), &Keyfold),
        Err(RecoveryError::NotReady)
    );
    let elsewhere = membership_hash(&RECOVERY, 1, &B, &C);
    assert_eq!(
        recover(&bytes, &B, &elsewhere, &Keyfold),
        Err(RecoveryError::NotReady)
    );
}

#[test]
fn zero_signers_and_long_waits_are_never_emitted() {
    let zero = RecoveryTree::Leaf(leaf(Address::ZERO, 1, 0));
    assert_eq!(
        zero.encode(Encoding::Shortest),
        Err(RecoveryTreeError::ZeroSigner)
    );
    let long = RecoveryTree::Leaf(leaf(A, DELTA_LIMIT, 0));
    for encoding in [Encoding::Shortest, Encoding::Npm] {
        assert_eq!(long.encode(encoding), Err(RecoveryTreeError::DeltaTooLarge));
    }
    assert_eq!(
        three().trimmed(&owner(1)),
        Err(RecoveryTreeError::UnknownSigner(owner(1)))
    );
    assert_eq!(RecoveryTree::balanced(&[]), Err(RecoveryTreeError::Empty));
}

fn any_leaf() -> impl Strategy<Value = RecoveryLeaf> {
    (1u8..20, 0..DELTA_LIMIT, any::<u64>())
        .prop_map(|(signer, delta, min)| leaf(Address::repeat_byte(signer), delta, min))
}

proptest! {
    #[test]
    fn trimming_never_changes_the_root(leaves in prop::collection::vec(any_leaf(), 1..20), pick in any::<prop::sample::Index>()) {
        let tree = RecoveryTree::balanced(&leaves).unwrap();
        prop_assert_eq!(tree.leaves(), leaves.clone());
        let trimmed = tree.trimmed(&pick.get(&leaves).signer).unwrap();
        for tree in [&tree, &trimmed] {
            let bytes = tree.encode(Encoding::Shortest).unwrap();
            let read = RecoveryTree::decode(&bytes).unwrap();
            prop_assert_eq!(&read, tree);
        }
        prop_assert_eq!(trimmed.hash(), tree.hash());
    }

    #[test]
    fn reading_never_panics(bytes in prop::collection::vec(prop_oneof![Just(4u8), Just(3), Just(1), any::<u8>()], 0..200)) {
        if let Ok(tree) = RecoveryTree::decode(&bytes) {
            prop_assert_eq!(tree.encode(Encoding::Shortest).unwrap(), bytes);
        }
    }
}
