//! The notary vouches for what QEMU says of one image, and for nothing else.

use keyfold_attest::{VerifyError, danger};
use keyfold_platform_dev::issuer::{DevIssuer, Draft, cbor};
use keyfold_platform_dev::notary::{Notary, NotaryError};

use crate::world::{NOW_MS, World, emulated, image};

const UNSIGNED: i64 = -1;

fn zeros() -> Vec<u8> {
    cbor::bytes(&[0; 64])
}

/// A world whose root is the notary's.
fn world() -> (World, Notary) {
    let mut world = World::new();
    let pem = world.issuer.to_pem().unwrap();
    let notary = Notary::new(DevIssuer::from_pem(&pem).unwrap(), image());
    world.issuer = DevIssuer::from_pem(&pem).unwrap();
    (world, notary)
}

#[test]
fn the_production_verifier_accepts_what_the_notary_signed_and_the_claims_are_the_machines() {
    let (mut world, notary) = world();
    let unsigned = emulated(&world.emulated(|_| {}), UNSIGNED, zeros());
    assert_eq!(world.refusal(&unsigned), VerifyError::Algorithm);
    let signed = notary.sign(&unsigned, &mut world.rng).unwrap();
    let verified = world.verify(&signed).unwrap();
    assert_eq!(verified.timestamp_ms(), NOW_MS);
    assert_eq!(verified.pcrs(), danger::inspect(&unsigned).unwrap().pcrs());
    assert_eq!(verified.user_data(), Some(&b"user data"[..]));
    assert_eq!(verified.public_key(), Some(&b"public key"[..]));
}

#[test]
fn the_notary_signs_for_no_other_image() {
    let (mut world, notary) = world();
    for index in 0..=2 {
        let changes: [fn(&mut Draft<'_>, u8); 2] = [
            |it, index| {
                it.request.pcrs.insert(index, [0xbb; 48]);
            },
            |it, index| {
                it.request.pcrs.remove(&index);
            },
        ];
        for change in changes {
            let claims = world.emulated(|it| change(it, index));
            let refused = notary.sign(&emulated(&claims, UNSIGNED, zeros()), &mut world.rng);
            assert!(matches!(refused, Err(NotaryError::OtherImage(at)) if at == index));
        }
    }
}

#[test]
fn the_notary_signs_nothing_that_somebody_signed_or_that_is_no_document() {
    let (mut world, notary) = world();
    let signed = world.sound();
    let refused = notary.sign(&signed, &mut world.rng);
    assert!(matches!(refused, Err(NotaryError::Signed)));
    let claims = world.emulated(|_| {});
    let refused = notary.sign(&emulated(&claims, -35, zeros()), &mut world.rng);
    assert!(matches!(refused, Err(NotaryError::Signed)));
    let refused = notary.sign(b"document", &mut world.rng);
    assert!(matches!(refused, Err(NotaryError::Form(_))));
}
