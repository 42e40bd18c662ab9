//! Warrants and holders' statements: what counts as said, and by how many.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use keyfold_crypto::commitment::ShareCommitment;
use keyfold_crypto::ed25519::SigningKey;
use keyfold_crypto::hpke::HpkePublicKey;
use keyfold_crypto::{Canonical, Secret};
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::ids::{AccountId, AddressId, Digest32, KeyId, RealmId, Signature64};
use keyfold_protocol::maintenance::{
    Drill, DrillStatement, Retire, SharesAck, SharesStatement, Sharing,
};
use keyfold_protocol::realm::{
    HolderCard, RealmRecord, RootKind, SignedRealmRecord, VerifiedRealm,
};
use keyfold_protocol::warrant::{SignedWarrant, Warrant, WarrantError, WarrantSignature};

const NOW: u64 = 1_800_000_000;
const IMAGE: [u8; 48] = [0xb3; 48];

fn key(index: u8) -> SigningKey {
    SigningKey::from_secret(&Secret::from_array([index; 32]))
}

/// A realm of five, of which three must agree.
fn realm() -> VerifiedRealm {
    let card = |i: u8| HolderCard {
        name: format!("h{i}"),
        party: format!("p{i}"),
        region: "r".into(),
        address: format!("h{i}.example:7400"),
        signing_key: key(i).verifying_key(),
        hpke_key: HpkePublicKey([i; 32]),
        tls_spki_sha256: Digest32::from_bytes([i; 32]),
    };
    let record = RealmRecord {
        version: 1,
        serial: 1,
        previous: None,
        genesis_nonce: Digest32::from_bytes([1; 32]),
        created: NOW,
        threshold: 3,
        holders: (1..=5).map(card).collect(),
        root: RootKind::AwsNitro,
        policy_keys: vec![],
        checkpointer: AddressId::from_bytes([2; 20]),
        seed_commitments: (1..=5).map(|i| ShareCommitment([i; 32])).collect(),
    };
    let bytes = record.to_signed_bytes();
    let signatures = (1..=5).map(|i| Signature64(key(i).sign(&bytes))).collect();
    let signed = SignedRealmRecord { record, signatures };
    signed.verify_unpinned().unwrap()
}

fn warrant() -> Warrant {
    Warrant {
        version: 1,
        realm: realm().id(),
        from: 1,
        to: 1,
        generation: 7,
        image: IMAGE,
        issued: NOW,
        expires: NOW + 86_400,
    }
}

fn by(warrant: Warrant, holders: &[u8]) -> SignedWarrant {
    let signatures = holders.iter().map(|i| warrant.sign(*i, &key(*i))).collect();
    SignedWarrant {
        warrant,
        signatures,
    }
}

#[test]
fn a_warrant_that_three_of_five_signed_holds_for_its_image_and_generation() {
    let verified = by(warrant(), &[5, 1, 3]).verify(&realm(), NOW).unwrap();
    assert_eq!(verified.generation(), 7);
    assert_eq!(verified.id(), warrant().id());
    assert!(verified.is_for(&IMAGE));
    assert!(!verified.is_for(&[0xb4; 48]));
    let json = serde_json::to_string(&by(warrant(), &[1, 2, 3])).unwrap();
    let again: SignedWarrant = serde_json::from_str(&json).unwrap();
    assert!(again.verify(&realm(), NOW).is_ok());
}

#[test]
fn holders_are_counted_and_not_signatures() {
    let realm = realm();
    let [one, two] = [1, 2].map(|i| warrant().sign(i, &key(i)));
    let of = |signatures: &[WarrantSignature]| SignedWarrant {
        warrant: warrant(),
        signatures: signatures.to_vec(),
    };
    let as_third = WarrantSignature { holder: 3, ..one };
    let elsewhere = Warrant {
        generation: 8,
        ..warrant()
    };
    let about_another = elsewhere.sign(3, &key(3));
    let no_holder = |holder| warrant().sign(holder, &key(6));
    for (what, signatures) in [
        ("two", vec![one, two]),
        ("one twice", vec![one, two, two]),
        ("one under another's name", vec![one, two, as_third]),
        ("one about another warrant", vec![one, two, about_another]),
        ("a stranger", vec![one, two, no_holder(3)]),
        ("no such holder", vec![one, two, no_holder(6), no_holder(0)]),
    ] {
        let refused = of(&signatures).verify(&realm, NOW).unwrap_err();
        assert_eq!(
            refused,
            WarrantError::TooFew { good: 2, needed: 3 },
            "{what}"
        );
    }
    let good = warrant().sign(4, &key(4));
    assert!(
        of(&[no_holder(4), one, two, good])
            .verify(&realm, NOW)
            .is_ok()
    );
    // However many stand before the good ones, or none of them counts.
    let crowd: Vec<_> = core::iter::repeat_n(one, 32).chain([two, good]).collect();
    assert_eq!(
        of(&crowd).verify(&realm, NOW).unwrap_err(),
        WarrantError::TooMany
    );
}

#[test]
fn a_signature_is_over_every_field() {
    type Change = fn(&mut Warrant);
    let changes: [Change; 4] = [
        |w| w.generation += 1,
        |w| w.image[47] ^= 1,
        |w| w.issued -= 1,
        |w| w.expires += 1,
    ];
    for change in changes {
        let mut altered = by(warrant(), &[1, 2, 3]);
        change(&mut altered.warrant);
        let refused = altered.verify(&realm(), NOW).unwrap_err();
        assert_eq!(refused, WarrantError::TooFew { good: 0, needed: 3 });
    }
}

#[test]
fn a_warrant_holds_here_and_now_or_not_at_all() {
    type Change = fn(&mut Warrant);
    let changes: [(WarrantError, Change); 10] = [
        (WarrantError::UnknownVersion, |w| w.version = 0),
        (WarrantError::UnknownVersion, |w| w.version = 2),
        (WarrantError::WrongRealm, |w| {
            w.realm = RealmId::from_bytes([9; 32])
        }),
        (WarrantError::WrongRealm, |w| w.from = 0),
        (WarrantError::WrongRealm, |w| w.to = 2),
        (WarrantError::NoGeneration, |w| w.generation = 1),
        (WarrantError::LastsTooLong, |w| {
            w.expires = NOW + 30 * 86_400 + 1
        }),
        (WarrantError::LastsTooLong, |w| {
            (w.issued, w.expires) = (0, u64::MAX)
        }),
        (WarrantError::NotBegun, |w| w.issued = NOW + 301),
        (WarrantError::Expired, |w| w.expires = NOW),
    ];
    for (expected, change) in changes {
        let mut bad = warrant();
        change(&mut bad);
        assert_eq!(bad.check(&realm(), NOW), Err(expected));
        let signed = by(bad, &[1, 2, 3, 4, 5]);
        assert_eq!(signed.verify(&realm(), NOW).unwrap_err(), expected);
    }
    let longest = Warrant {
        issued: NOW + 300,
        expires: NOW + 300 + 30 * 86_400,
        ..warrant()
    };
    assert_eq!(longest.check(&realm(), NOW), Ok(()));
    assert_eq!(longest.check(&realm(), longest.expires - 1), Ok(()));
}

#[test]
fn a_warrant_that_says_more_or_less_than_it_may_is_not_read() {
    let good = serde_json::to_value(by(warrant(), &[1])).unwrap();
    assert!(serde_json::from_value::<SignedWarrant>(good.clone()).is_ok());
    type Change = fn(&mut serde_json::Value);
    let changes: [Change; 4] = [
        |w| w["warrant"]["image"] = "b3".repeat(47).into(),
        |w| w["warrant"]["image"] = "b3".repeat(49).into(),
        |w| w["warrant"]["more"] = 1.into(),
        |w| w["warrant"]["generation"] = (1_u64 << 32).into(),
    ];
    for change in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(serde_json::from_value::<SignedWarrant>(bad).is_err());
    }
}

fn sharing(byte: u8) -> Sharing {
    let list = |from: u8| (from..from + 5).map(|i| ShareCommitment([i; 32])).collect();
    Sharing {
        owner: AccountRef {
            project: "app.example".parse().unwrap(),
            account: AccountId::from_bytes([3; 16]),
        },
        key: KeyId::from_bytes([byte; 16]),
        generation: 7,
        leaf: list(byte),
        entropy: list(byte + 5),
    }
}

#[test]
fn a_splitting_is_named_by_all_of_it() {
    let good = sharing(1);
    type Change = fn(&mut Sharing);
    let changes: [Change; 8] = [
        |s| s.owner.project = "app.examples".parse().unwrap(),
        |s| s.owner.account = AccountId::from_bytes([4; 16]),
        |s| s.key = KeyId::from_bytes([2; 16]),
        |s| s.generation = 8,
        |s| s.leaf[4].0[31] ^= 1,
        |s| s.entropy[0].0[0] ^= 1,
        |s| s.leaf.swap(0, 1),
        // The same commitments, cut between the lists at another place.
        |s| s.entropy.insert(0, s.leaf.pop().unwrap()),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut other = sharing(1);
        change(&mut other);
        assert_ne!(other.digest(), good.digest(), "change {at}");
    }
}

#[test]
fn a_part_is_the_holders_own_or_none() {
    let mut sharing = sharing(1);
    let part = sharing.part(2).unwrap();
    assert_eq!(
        (part.leaf, part.entropy),
        (ShareCommitment([2; 32]), Some(ShareCommitment([7; 32])))
    );
    assert_eq!((sharing.part(0), sharing.part(6)), (None, None));
    sharing.entropy.pop();
    assert_eq!(sharing.part(2), None);
    sharing.entropy.clear();
    assert_eq!(sharing.part(5).unwrap().entropy, None);
}

fn ack(holder: u8, keys: &[Sharing]) -> SharesAck {
    let realm = realm().id();
    SharesStatement {
        realm,
        holder,
        keys,
    }
    .sign(&key(holder))
}

#[test]
fn shares_are_retired_on_the_word_of_every_holder_about_this_batch() {
    let realm = realm();
    let keys = vec![sharing(1), sharing(20)];
    let good: Vec<SharesAck> = (1..=5).map(|i| ack(i, &keys)).collect();
    let complete = |acks: Vec<SharesAck>| {
        let keys = keys.clone();
        Retire { keys, acks }.is_complete(&realm)
    };
    assert!(complete(good.clone()));
    let mut backwards = good.clone();
    backwards.reverse();
    assert!(complete(backwards));
    let with = |bad: SharesAck| {
        let mut acks = good.clone();
        acks[4] = bad;
        acks
    };
    let other_realm = SharesStatement {
        realm: RealmId::from_bytes([9; 32]),
        holder: 5,
        keys: &keys,
    };
    let swapped = [keys[1].clone(), keys[0].clone()];
    for (what, acks) in [
        ("nobody", vec![]),
        ("a majority", good[..3].to_vec()),
        ("all but one", good[..4].to_vec()),
        ("one twice", with(good[0])),
        (
            "one under another's name",
            with(SharesAck {
                holder: 5,
                ..good[0]
            }),
        ),
        ("no holder", with(ack(6, &keys))),
        (
            "holder 0",
            with(SharesAck {
                holder: 0,
                ..good[4]
            }),
        ),
        ("one about a part of the batch", with(ack(5, &keys[..1]))),
        ("one about another order", with(ack(5, &swapped))),
        ("one in another realm", with(other_realm.sign(&key(5)))),
        ("six", [good.clone(), vec![good[0]]].concat()),
    ] {
        assert!(!complete(acks), "{what}");
    }
}

#[test]
fn a_drills_answer_is_about_its_question() {
    let realm = realm();
    let keys = vec![sharing(1).part(2).unwrap(), sharing(20).part(2).unwrap()];
    let nonce = Digest32::from_bytes([0xd1; 32]);
    let statement = DrillStatement {
        realm: realm.id(),
        holder: 2,
        nonce,
        keys: &keys,
        bad: &[1],
    };
    let answer = statement.sign(&key(2));
    let asked = Drill {
        nonce,
        keys: keys.clone(),
    };
    assert!(answer.verify(&realm, &asked));
    type Change = fn(&mut Drill);
    let changes: [Change; 6] = [
        |d| d.nonce = Digest32::from_bytes([0xd2; 32]),
        |d| d.keys.truncate(1),
        |d| d.keys.swap(0, 1),
        |d| d.keys[0].generation = 8,
        |d| d.keys[0].leaf.0[0] ^= 1,
        |d| d.keys[0].entropy = None,
    ];
    for change in changes {
        let mut other = asked.clone();
        change(&mut other);
        assert!(!answer.verify(&realm, &other));
    }
    for (holder, bad) in [(3, vec![1]), (2, vec![]), (2, vec![0, 1]), (6, vec![1])] {
        let mut forged = answer.clone();
        (forged.holder, forged.bad) = (holder, bad);
        assert!(!forged.verify(&realm, &asked));
    }
}
