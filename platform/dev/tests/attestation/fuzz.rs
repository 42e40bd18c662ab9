//! Spoiled documents: every one is refused and none brings the verifier down.

use std::sync::LazyLock;

use keyfold_attest::danger;
use keyfold_platform_dev::issuer::Certified;
use proptest::prelude::*;

use crate::world::World;

/// Made once: drawing keys takes longer than judging a document.
static CERTIFIED: LazyLock<(World, Certified)> = LazyLock::new(|| {
    let mut world = World::new();
    let certified = world
        .issuer
        .draft(&world.request())
        .certify(&mut world.rng)
        .unwrap();
    (world, certified)
});

#[test]
fn a_document_with_any_flipped_bit_is_refused() {
    for indefinite in [false, true] {
        let mut world = World::new();
        let mut document = world.certified(|it| it.indefinite = indefinite);
        for byte in 0..document.len() {
            let bit = 1 << ((byte + usize::from(indefinite) * 4) % 8);
            document[byte] ^= bit;
            world.refusal(&document);
            document[byte] ^= bit;
        }
        assert!(world.verify(&document).is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_signed_document_with_spoiled_certificates_is_refused(
        which in 0usize..5,
        at in any::<prop::sample::Index>(),
        with in prop::collection::vec(any::<u8>(), 0..6),
        remove in 0usize..6,
    ) {
        let (world, certified) = &*CERTIFIED;
        let mut certified = certified.clone();
        let certificate = match which {
            4 => &mut certified.certificate,
            _ => &mut certified.bundle[which],
        };
        let before = certificate.clone();
        let start = at.index(before.len());
        let end = (start + remove).min(before.len());
        certificate.splice(start..end, with);
        let changed = *certificate != before;
        let document = certified.seal();
        prop_assert_eq!(world.verify(&document).is_err(), changed);
    }

    #[test]
    fn a_signed_payload_of_anything_brings_nothing_down(
        at in any::<prop::sample::Index>(),
        with in prop::collection::vec(any::<u8>(), 0..12),
        remove in 0usize..12,
    ) {
        let (world, certified) = &*CERTIFIED;
        let mut payload = certified.payload();
        let start = at.index(payload.len());
        let end = (start + remove).min(payload.len());
        payload.splice(start..end, with);
        // The enclave itself may sign other data, so this may pass; it must answer.
        let document = certified.seal_payload(&payload);
        if let Ok(verified) = world.verify(&document) {
            prop_assert_eq!(verified.nonce(), &world.nonce);
            prop_assert_eq!(verified.pcr(0), Some(&[0xa0; 48]));
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused(document in prop::collection::vec(any::<u8>(), 0..2048)) {
        let (world, _) = &*CERTIFIED;
        world.refusal(&document);
        prop_assert!(danger::inspect(&document).is_err());
    }
}
