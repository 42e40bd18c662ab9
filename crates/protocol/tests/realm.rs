//! Realm records and instance bindings: what they must be before anybody acts on them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use keyfold_crypto::commitment::ShareCommitment;
use keyfold_crypto::ed25519::SigningKey;
use keyfold_crypto::hpke::HpkePublicKey;
use keyfold_crypto::{Canonical, Secret};
use keyfold_protocol::anchor::{Anchor, AnchorStatement};
use keyfold_protocol::ids::{AddressId, Digest32, RealmId, RecordId, Signature64};
use keyfold_protocol::realm::{HolderCard, RealmError, RealmRecord, RootKind, SignedRealmRecord};

fn key(index: u8) -> SigningKey {
    SigningKey::from_secret(&Secret::from_array([index; 32]))
}

fn record(t: u8, n: u8) -> RealmRecord {
    RealmRecord {
        version: 1,
        serial: 1,
        previous: None,
        genesis_nonce: Digest32::from_bytes([1; 32]),
        created: 1_800_000_000,
        threshold: t,
        holders: (1..=n)
            .map(|i| HolderCard {
                name: format!("h{i}"),
                party: format!("p{i}"),
                region: "r".into(),
                address: format!("h{i}.example:7400"),
                signing_key: key(i).verifying_key(),
                hpke_key: HpkePublicKey([i; 32]),
                tls_spki_sha256: Digest32::from_bytes([i; 32]),
            })
            .collect(),
        root: RootKind::AwsNitro,
        policy_keys: vec![],
        checkpointer: AddressId::from_bytes([2; 20]),
        seed_commitments: (1..=n).map(|i| ShareCommitment([i; 32])).collect(),
    }
}

fn signed(record: RealmRecord) -> SignedRealmRecord {
    let bytes = record.to_signed_bytes();
    let n = u8::try_from(record.holders.len()).unwrap();
    let signatures = (1..=n).map(|i| Signature64(key(i).sign(&bytes))).collect();
    SignedRealmRecord { record, signatures }
}

#[test]
fn a_record_that_every_holder_signed_is_the_realm() {
    let good = signed(record(2, 3));
    let id = good.record.id();
    let json = serde_json::to_string(&good).unwrap();
    let again: SignedRealmRecord = serde_json::from_str(&json).unwrap();
    assert_eq!(again.verify(id).unwrap().id(), id);
    assert_eq!(record(2, 3).write_quorum(), 2);
    assert_eq!(record(3, 5).write_quorum(), 3);
    assert_eq!(record(5, 5).write_quorum(), 3, "a majority, not n-t+1 = 1");
}

#[test]
fn another_realm_is_not_the_pinned_one() {
    let verdict = signed(record(2, 3)).verify(RealmId::from_bytes([9; 32]));
    assert_eq!(verdict.unwrap_err(), RealmError::WrongRealm);
}

#[test]
fn a_record_without_one_holders_signature_is_refused() {
    let mut short = signed(record(2, 3));
    short.signatures.pop();
    assert_eq!(
        short.verify_unpinned().unwrap_err(),
        RealmError::BadSignature
    );
    let mut twice = signed(record(2, 3));
    twice.signatures[2] = twice.signatures[1];
    assert_eq!(
        twice.verify_unpinned().unwrap_err(),
        RealmError::BadSignature
    );
    let mut altered = signed(record(2, 3));
    altered.record.created += 1;
    assert_eq!(
        altered.verify_unpinned().unwrap_err(),
        RealmError::BadSignature
    );
}

#[test]
fn a_threshold_of_one_or_without_a_majority_is_refused() {
    for (t, n) in [
        (0, 3),
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 4),
        (4, 3),
        (0, 0),
        (17, 33),
    ] {
        assert_eq!(
            record(t, n).check_shape(),
            Err(RealmError::BadThreshold),
            "{t} of {n}"
        );
    }
    for (t, n) in [(2, 2), (2, 3), (3, 4), (17, 32)] {
        assert_eq!(record(t, n).check_shape(), Ok(()), "{t} of {n}");
    }
}

#[test]
fn a_record_with_an_impossible_threshold_has_no_quorum_and_no_panic() {
    for (t, n) in [(0, 3), (4, 3), (5, 3), (255, 3), (1, 0)] {
        assert_eq!(
            record(t, n).write_quorum(),
            usize::from(n) + 1,
            "{t} of {n}"
        );
    }
}

#[test]
fn one_holder_cannot_stand_twice_in_a_record() {
    let mutations: [fn(&mut RealmRecord); 5] = [
        |r| r.holders[1].signing_key = r.holders[0].signing_key,
        |r| r.holders[1].hpke_key = r.holders[0].hpke_key,
        |r| r.holders[1].address = r.holders[0].address.clone(),
        |r| r.holders[1].name = String::new(),
        |r| r.holders[1].party = "a\nb".into(),
    ];
    for mutate in mutations {
        let mut bad = record(2, 3);
        mutate(&mut bad);
        assert_eq!(bad.check_shape(), Err(RealmError::BadHolders));
    }
}

#[test]
fn shared_parties_and_regions_are_pointed_out() {
    let mut shared = record(2, 3);
    shared.holders[2].party = "p1".into();
    let warnings = shared.concentration_warnings();
    assert_eq!(
        warnings,
        [
            "2 holders share the party \"p1\"",
            "3 holders share the region \"r\""
        ]
    );
}

#[test]
fn an_ack_counts_for_its_realm_holder_and_anchor_only() {
    let realm = signed(record(2, 3)).verify_unpinned().unwrap();
    let statement = AnchorStatement {
        realm: realm.id(),
        holder: 2,
        record: RecordId::from_bytes([3; 32]),
        anchor: Anchor {
            version: 5,
            hash: Digest32::from_bytes([4; 32]),
        },
    };
    let good = statement.sign(&key(2));
    assert!(good.verify(&realm));
    let mut other_holder = good;
    other_holder.holder = 1;
    let mut nobody = good;
    nobody.holder = 4;
    let mut newer = good;
    newer.anchor.version = 6;
    let mut elsewhere = good;
    elsewhere.record = RecordId::from_bytes([5; 32]);
    for bad in [other_holder, nobody, newer, elsewhere] {
        assert!(!bad.verify(&realm));
    }
    let another = AnchorStatement {
        realm: RealmId::from_bytes([9; 32]),
        ..statement
    };
    assert!(!another.sign(&key(2)).verify(&realm));
}
