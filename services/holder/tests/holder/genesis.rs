//! A holder joins one realm, once, and only one that is as its card says.

use keyfold_crypto::ed25519::SigningKey;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::{Digest32, Signature64};
use keyfold_protocol::realm::{RealmRecord, RootKind};

use crate::world::{Plan, World, code, rng};

async fn bare() -> World {
    let world = World::bare().await;
    world.register(&world.enclave).await.unwrap();
    world
}

#[tokio::test]
async fn genesis_repeated_is_answered_the_same() {
    let world = bare().await;
    let plan = world.plan();
    let first = world.propose(&plan).await.unwrap();
    let second = world.propose(&plan).await.unwrap();
    assert_eq!(first.signature, second.signature);
    let signed = world.sign(&plan, first);
    world.commit(&signed).await.unwrap();
    world.commit(&signed).await.unwrap();
    let third = world.propose(&plan).await.unwrap();
    assert_eq!(third.signature, second.signature);
}

#[tokio::test]
async fn a_second_genesis_is_refused() {
    let world = bare().await;
    let (first, second) = (world.plan(), world.plan());
    let consent = world.propose(&second).await.unwrap();
    let late = world.sign(&second, consent);
    let consent = world.propose(&first).await.unwrap();
    world.commit(&world.sign(&first, consent)).await.unwrap();
    assert_eq!(code(world.propose(&second).await), Code::RealmExists);
    assert_eq!(code(world.commit(&late).await), Code::RealmExists);
}

#[tokio::test]
async fn a_second_genesis_is_refused_after_a_restart() {
    let mut world = World::new().await;
    let plan = world.plan();
    world.restart().await;
    assert_eq!(code(world.propose(&plan).await), Code::RealmExists);
}

#[tokio::test]
async fn a_genesis_that_was_cut_off_is_replaced_by_the_next() {
    let world = bare().await;
    let (cut_off, next) = (world.plan(), world.plan());
    let consent = world.propose(&cut_off).await.unwrap();
    let stale = world.sign(&cut_off, consent);
    let consent = world.propose(&next).await.unwrap();
    assert_eq!(code(world.commit(&stale).await), Code::RealmInvalid);
    world.commit(&world.sign(&next, consent)).await.unwrap();
}

#[tokio::test]
async fn a_record_that_was_not_proposed_is_not_committed() {
    let world = bare().await;
    let plan = world.plan();
    let consent = world.propose(&plan).await.unwrap();
    let mut altered = world.sign(&plan, consent);
    altered.record.created += 1;
    assert_eq!(code(world.commit(&altered).await), Code::RealmInvalid);
}

#[tokio::test]
async fn a_record_that_lacks_a_holders_signature_is_not_committed() {
    let world = bare().await;
    let plan = world.plan();
    let consent = world.propose(&plan).await.unwrap();
    let signed = world.sign(&plan, consent);
    let mut short = signed.clone();
    short.signatures.pop();
    let mut forged = signed.clone();
    forged.signatures[0] = Signature64(SigningKey::generate(&mut rng()).sign(b"other"));
    let mut swapped = signed.clone();
    swapped.signatures.swap(0, 2);
    for bad in [short, forged, swapped] {
        assert_eq!(code(world.commit(&bad).await), Code::RealmInvalid);
    }
    world.commit(&signed).await.unwrap();
}

#[tokio::test]
async fn a_record_that_is_not_ours_gets_no_consent() {
    let world = bare().await;
    type Change = fn(&mut RealmRecord);
    let changes: [(&str, Change); 9] = [
        ("another address", |r| {
            r.holders[1].address = "elsewhere.example:1".to_owned()
        }),
        ("another tls key", |r| {
            r.holders[1].tls_spki_sha256 = Digest32::from_bytes([9; 32])
        }),
        ("another hpke key", |r| r.holders[1].hpke_key.0[0] ^= 1),
        ("without us", |r| {
            r.holders[1].signing_key = SigningKey::generate(&mut rng()).verifying_key();
        }),
        ("one of three", |r| r.threshold = 1),
        ("four of three", |r| r.threshold = 4),
        ("a holder twice", |r| r.holders[2] = r.holders[0].clone()),
        ("aws root", |r| r.root = RootKind::AwsNitro),
        ("another root", |r| {
            let certificate_sha256 = Digest32::from_bytes([1; 32]);
            r.root = RootKind::Development { certificate_sha256 };
        }),
    ];
    for (what, change) in changes {
        let mut plan = world.plan();
        change(&mut plan.record);
        assert_eq!(
            code(world.propose(&plan).await),
            Code::RealmInvalid,
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_seed_share_that_is_not_the_committed_one_gets_no_consent() {
    let world = bare().await;
    let plan = world.plan();
    let mut altered = plan.share.clone();
    *altered.last_mut().unwrap() ^= 1;
    let mut other_index = plan.share.clone();
    other_index[1] = 3;
    for share in [altered, other_index, Vec::new(), vec![1; 4_000]] {
        let bad = Plan {
            record: plan.record.clone(),
            share,
        };
        assert_eq!(code(world.propose(&bad).await), Code::EvidenceInvalid);
    }
    // Committed to under another genesis nonce: the seal itself is for another place.
    let mut moved = world.plan();
    moved
        .record
        .seed_commitments
        .clone_from(&plan.record.seed_commitments);
    assert_eq!(code(world.propose(&moved).await), Code::EvidenceInvalid);
}
