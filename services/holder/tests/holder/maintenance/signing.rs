//! What an operator signs by hand, on a machine where the holder runs.

use keyfold_crypto::ed25519::SigningKey;
use keyfold_holder_service::{SignWarrantError, look_at_warrant, sign_warrant_at};
use keyfold_protocol::ids::RealmId;
use keyfold_protocol::warrant::{SignedWarrant, Warrant, WarrantError};

use crate::world::{OWN, World, image, rng};

/// A world whose operator approved the image.
async fn world() -> World {
    let mut world = World::new().await;
    world.config.measurement_policy = world.dir.path().join("measurements.json");
    let approved = serde_json::to_string(&[image()]).unwrap();
    std::fs::write(&world.config.measurement_policy, approved).unwrap();
    world
}

fn unsigned(warrant: Warrant) -> SignedWarrant {
    SignedWarrant {
        warrant,
        signatures: Vec::new(),
    }
}

#[tokio::test]
async fn a_signature_is_added_to_the_others_or_replaced_and_the_warrant_holds() {
    let world = world().await;
    let mut signed = unsigned(world.warrant(2));
    let first = signed.warrant.sign(1, &world.others[0].1);
    // One of its own that is worth nothing, say from before a mistake was mended.
    let stale = signed.warrant.sign(OWN, &SigningKey::generate(&mut rng()));
    signed.signatures = vec![stale, first];
    for _ in 0..2 {
        let standing = sign_warrant_at(&world.config, &mut signed, &*world.clock)
            .await
            .unwrap();
        let signers: Vec<u8> = standing.signers.iter().map(|(index, ..)| *index).collect();
        assert_eq!((signers, standing.needed), (vec![1, OWN], 2));
        assert_eq!((standing.defect, standing.approved), (None, true));
        assert_eq!(standing.id, signed.warrant.id());
        assert_eq!(signed.signatures.len(), 2);
    }
    let (_, old) = world.person_with_dealt_key().await;
    world.hand_over(&signed, vec![old.part()]).await.unwrap();
}

#[tokio::test]
async fn what_does_not_hold_here_is_not_signed_and_left_as_it_was() {
    let world = world().await;
    let now = world.now();
    type Change = fn(&mut Warrant, u64);
    let changes: [(WarrantError, Change); 6] = [
        (WarrantError::UnknownVersion, |w, _| w.version = 2),
        (WarrantError::WrongRealm, |w, _| {
            w.realm = RealmId::from_bytes([1; 32]);
        }),
        (WarrantError::NoGeneration, |w, _| w.generation = 1),
        (WarrantError::Expired, |w, now| w.expires = now),
        (WarrantError::NotBegun, |w, now| w.issued = now + 301),
        (WarrantError::LastsTooLong, |w, now| {
            w.expires = now + 31 * 86_400
        }),
    ];
    for (expected, change) in changes {
        let mut bad = unsigned(world.warrant(2));
        change(&mut bad.warrant, now);
        let before = bad.clone();
        let answer = sign_warrant_at(&world.config, &mut bad, &*world.clock).await;
        assert!(matches!(answer, Err(SignWarrantError::Refused(why)) if why == expected));
        assert_eq!(bad, before);
        let seen = look_at_warrant(&world.config, &bad, &*world.clock).await;
        assert_eq!(seen.unwrap().defect, Some(expected));
    }
    let mut crowded = unsigned(world.warrant(2));
    crowded.signatures = vec![crowded.warrant.sign(1, &world.others[0].1); 32];
    let answer = sign_warrant_at(&world.config, &mut crowded, &*world.clock).await;
    assert!(matches!(
        answer,
        Err(SignWarrantError::Refused(WarrantError::TooMany))
    ));
}

#[tokio::test]
async fn an_image_that_the_operator_did_not_approve_gets_no_signature() {
    let world = world().await;
    let mut other = world.warrant(2);
    other.image[0] ^= 1;
    let mut other = unsigned(other);
    let answer = sign_warrant_at(&world.config, &mut other, &*world.clock).await;
    assert!(matches!(answer, Err(SignWarrantError::NotApproved)));
    assert!(other.signatures.is_empty());
    std::fs::write(&world.config.measurement_policy, "[]").unwrap();
    let mut good = unsigned(world.warrant(2));
    let answer = sign_warrant_at(&world.config, &mut good, &*world.clock).await;
    assert!(matches!(answer, Err(SignWarrantError::NotApproved)));
}

#[tokio::test]
async fn a_holder_without_a_realm_signs_nothing() {
    let mut bare = World::bare().await;
    bare.config.measurement_policy = bare.dir.path().join("measurements.json");
    let warrant = Warrant {
        version: 1,
        realm: RealmId::from_bytes([1; 32]),
        from: 1,
        to: 1,
        generation: 2,
        image: image().pcr0,
        issued: bare.now(),
        expires: bare.now() + 60,
    };
    let mut signed = unsigned(warrant);
    let answer = sign_warrant_at(&bare.config, &mut signed, &*bare.clock).await;
    assert!(matches!(answer, Err(SignWarrantError::NoRealm)));
}
