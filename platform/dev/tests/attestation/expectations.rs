//! What a verifier demands of a sound document.

use keyfold_attest::{
    Expectations, MeasurementPolicy, Measurements, Nonce, VerifyError::*, danger, verify,
};

use crate::world::{NOW_MS, World, image};

#[test]
fn a_sound_document_is_accepted_and_gives_what_was_asked() {
    let mut world = World::new();
    let document = world.sound();
    let verified = world.verify(&document).unwrap();
    assert_eq!(
        verified.module_id(),
        "i-0123456789abcdef0-enc0123456789abcdef"
    );
    assert_eq!(verified.timestamp_ms(), NOW_MS);
    assert_eq!(verified.valid_until_ms(), NOW_MS + 3_600_000);
    assert_eq!(verified.public_key(), Some(&b"public key"[..]));
    assert_eq!(verified.user_data(), Some(&b"user data"[..]));
    assert_eq!(verified.nonce(), &world.nonce);
    assert_eq!(verified.pcr(0), Some(&[0xa0; 48]));
    assert_eq!(verified.pcr(16), Some(&world.realm));
    assert_eq!(verified.pcr(5), None);
    assert!(document.len() < 5_000);
}

#[test]
fn a_document_of_another_image_under_the_same_root_is_refused() {
    let mut world = World::new();
    for index in 0..=2 {
        let document = world.drafted(|it| {
            it.request.pcrs.insert(index, [0xbb; 48]);
        });
        assert_eq!(world.refusal(&document), MeasurementNotAllowed);
        let document = world.drafted(|it| {
            it.request.pcrs.remove(&index);
        });
        assert_eq!(world.refusal(&document), PcrMissing(index));
    }
}

#[test]
fn measurements_of_two_images_do_not_mix() {
    let mut world = World::new();
    let other = Measurements::of_image([0xb0; 48], [0xb1; 48], [0xb2; 48]);
    world.policy = MeasurementPolicy::new(vec![image(), other]);
    let document = world.drafted(|it| {
        it.request.pcrs.insert(1, [0xb1; 48]);
    });
    assert_eq!(world.refusal(&document), MeasurementNotAllowed);
}

#[test]
fn an_optional_measurement_that_is_set_and_missing_in_the_document_is_refused() {
    let mut world = World::new();
    let document = world.sound();
    let zeros = Some([0; 48]);
    let mut verdict = |measurements| {
        world.policy = MeasurementPolicy::new(vec![measurements]);
        world.verify(&document).err()
    };
    assert_eq!(
        verdict(Measurements {
            pcr3: zeros,
            ..image()
        }),
        None
    );
    for required in [
        Measurements {
            pcr3: Some([1; 48]),
            ..image()
        },
        Measurements {
            pcr4: zeros,
            ..image()
        },
        Measurements {
            pcr8: zeros,
            ..image()
        },
    ] {
        assert_eq!(verdict(required), Some(MeasurementNotAllowed));
    }
}

#[test]
fn an_enclave_in_debug_mode_is_refused_even_if_zeros_are_listed() {
    let mut world = World::new();
    let debug = world.drafted(|it| {
        for index in 0..=2 {
            it.request.pcrs.insert(index, [0; 48]);
        }
    });
    assert_eq!(world.refusal(&debug), DebugMode);
    let zeros = Measurements::of_image([0; 48], [0; 48], [0; 48]);
    world.policy = MeasurementPolicy::new(vec![zeros]);
    assert_eq!(world.refusal(&debug), DebugMode);
    world.policy = danger::policy_that_trusts_debug_enclaves(Vec::new());
    assert!(world.verify(&debug).is_ok());
}

#[test]
fn a_policy_that_trusts_debug_enclaves_trusts_no_other_image_for_it() {
    let mut world = World::new();
    world.policy = danger::policy_that_trusts_debug_enclaves(Vec::new());
    let document = world.sound();
    assert_eq!(world.refusal(&document), MeasurementNotAllowed);
    for index in 0..=2 {
        let partly = world.drafted(|it| {
            it.request.pcrs.insert(index, [0; 48]);
        });
        assert_eq!(world.refusal(&partly), DebugMode);
    }
}

#[test]
fn a_document_with_the_previous_nonce_is_refused() {
    let mut world = World::new();
    let document = world.sound();
    world.nonce = Nonce::new(b"the next one").unwrap();
    assert_eq!(world.refusal(&document), NonceMismatch);
}

#[test]
fn a_document_whose_nonce_is_missing_empty_blank_or_another_is_refused() {
    let mut world = World::new();
    let document = world.drafted(|it| it.request.nonce = None);
    assert_eq!(world.refusal(&document), NonceMissing);
    let long = [crate::world::NONCE, b"0"].concat();
    for nonce in [
        &b""[..],
        b" ",
        b"\n\t",
        &[0; 32],
        &[b' '; 512],
        &long,
        &long[..31],
    ] {
        let document = world.drafted(|it| it.request.nonce = Some(nonce.to_vec()));
        assert_eq!(world.refusal(&document), NonceMismatch);
    }
}

#[test]
fn a_document_too_old_or_from_the_future_is_refused() {
    let mut world = World::new();
    let document = world.sound();
    let at = |now_unix_ms: u64| {
        let expect = Expectations {
            now_unix_ms,
            max_age_ms: 60_000,
            ..world.expect()
        };
        verify(&document, &world.root, &expect).err()
    };
    assert_eq!(at(NOW_MS + 60_000), None);
    assert_eq!(at(NOW_MS + 60_001), Some(TooOld));
    assert_eq!(at(NOW_MS - 30_000), None);
    // Beyond the tolerance the leaf counts as not yet valid, which its three seconds hide here.
    assert_eq!(
        at(NOW_MS - 30_001),
        Some(CertificateNotYetValid { position: 4 })
    );
    let strict = Expectations {
        now_unix_ms: NOW_MS - 2,
        max_future_ms: 1,
        ..world.expect()
    };
    assert_eq!(
        verify(&document, &world.root, &strict).unwrap_err(),
        FromTheFuture
    );
}

#[test]
fn a_clock_that_jumps_does_not_extend_a_document() {
    let mut world = World::new();
    let document = world.sound();
    let day_ms = 86_400_000;
    for now_unix_ms in [NOW_MS - day_ms, NOW_MS + 90 * day_ms, 0, u64::MAX] {
        let expect = Expectations {
            now_unix_ms,
            max_age_ms: u64::MAX,
            ..world.expect()
        };
        assert!(verify(&document, &world.root, &expect).is_err());
    }
}

#[test]
fn a_timestamp_at_the_ends_of_time_is_refused() {
    let mut world = World::new();
    for timestamp in [0, u64::MAX, NOW_MS + 31_000] {
        let document = world.certified(|it| {
            *it.claim_mut("timestamp").unwrap() =
                keyfold_platform_dev::issuer::cbor::unsigned(timestamp);
        });
        assert!(matches!(world.refusal(&document), TooOld | FromTheFuture));
    }
}

#[test]
fn a_document_of_another_realm_is_refused() {
    let mut world = World::new();
    let document = world.drafted(|it| {
        it.request.pcrs.insert(16, [0; 48]);
    });
    assert_eq!(world.refusal(&document), Pcr16Mismatch);
    let document = world.drafted(|it| {
        it.request.pcrs.remove(&16);
    });
    assert_eq!(world.refusal(&document), PcrMissing(16));
    let expect = Expectations {
        pcr16: None,
        ..world.expect()
    };
    assert!(verify(&document, &world.root, &expect).is_ok());
}

#[test]
fn a_key_or_data_put_in_after_signing_is_refused() {
    let mut world = World::new();
    let document = world.sound();
    for original in [&b"public key"[..], b"user data", crate::world::NONCE] {
        let at = document
            .windows(original.len())
            .position(|w| w == original)
            .unwrap();
        let mut document = document.clone();
        document[at] ^= 1;
        assert_eq!(world.refusal(&document), Signature);
    }
}
