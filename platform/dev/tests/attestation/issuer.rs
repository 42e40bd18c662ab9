//! The issuer itself.

use keyfold_attest::{Expectations, VerifyError, danger, verify};
use keyfold_platform_dev::issuer::{DevIssuer, IssuerError};

use crate::world::{NOW_MS, Sequence, World};

#[test]
fn a_kept_issuer_signs_for_the_same_root() {
    let mut world = World::new();
    let pem = world.issuer.to_pem().unwrap();
    world.issuer = DevIssuer::from_pem(&pem).unwrap();
    assert_eq!(world.issuer.root_der(), world.root.der());
    let document = world.sound();
    assert!(world.verify(&document).is_ok());
}

#[test]
fn a_key_with_the_certificate_of_another_is_refused() {
    let split = |issuer: DevIssuer| {
        let pem = issuer.to_pem().unwrap();
        let at = pem.find("-----BEGIN CERTIFICATE").unwrap();
        (pem[..at].to_owned(), pem[at..].to_owned())
    };
    let (key, certificate) = split(World::with_seed(1).issuer);
    let (_, other) = split(World::with_seed(2).issuer);
    assert!(DevIssuer::from_pem(&format!("{key}{certificate}")).is_ok());
    assert!(matches!(
        DevIssuer::from_pem(&format!("{key}{other}")),
        Err(IssuerError::KeyMismatch)
    ));
    for text in ["", &key, &certificate, &format!("{certificate}{key}")] {
        assert!(matches!(DevIssuer::from_pem(text), Err(IssuerError::Pem)));
    }
}

#[test]
fn the_key_is_not_in_what_debug_prints() {
    let issuer = World::new().issuer;
    assert_eq!(
        format!("{issuer:?}"),
        "DevIssuer { root: \"development.nitro-enclaves.invalid\", .. }"
    );
}

#[test]
fn two_documents_share_no_key_and_no_certificate_but_the_root() {
    let mut world = World::new();
    let (one, two) = (world.sound(), world.sound());
    let one = danger::inspect(&one).unwrap();
    let two = danger::inspect(&two).unwrap();
    assert_eq!(one.cabundle()[0], two.cabundle()[0]);
    assert_ne!(one.certificate(), two.certificate());
    for index in 1..4 {
        assert_ne!(one.cabundle()[index], two.cabundle()[index]);
    }
}

#[test]
fn a_module_makes_many_documents_with_one_leaf_for_three_hours() {
    let mut world = World::new();
    let module = world
        .issuer
        .certify_module("i-1-enc1", NOW_MS, &mut world.rng)
        .unwrap();
    let mut request = world.request();
    let later_ms = NOW_MS + 3 * 3_600_000;
    for timestamp_ms in [NOW_MS, later_ms, later_ms + 1000] {
        request.timestamp_ms = timestamp_ms;
        let document = module.attest(&request);
        let expect = Expectations {
            now_unix_ms: timestamp_ms,
            ..world.expect()
        };
        match verify(&document, &world.root, &expect) {
            Ok(verified) => {
                assert_eq!(verified.module_id(), "i-1-enc1");
                assert!(timestamp_ms <= later_ms);
            }
            Err(error) => {
                assert_eq!(error, VerifyError::CertificateExpired { position: 4 });
                assert!(timestamp_ms > later_ms);
            }
        }
    }
}

#[test]
fn a_time_that_no_certificate_can_express_is_an_error() {
    let made = DevIssuer::generate(&mut Sequence(1), u64::MAX);
    assert!(matches!(made, Err(IssuerError::Time)));
    let mut world = World::new();
    let mut request = world.request();
    request.timestamp_ms = u64::MAX;
    assert!(world.issuer.issue(&request, &mut world.rng).is_err());
}

#[test]
fn an_issuer_of_the_years_after_2049_is_a_sound_root_too() {
    let far_ms = NOW_MS + 40 * 365 * 86_400_000;
    let issuer = DevIssuer::generate(&mut Sequence(1), far_ms).unwrap();
    assert!(keyfold_attest::TrustRoot::from_der(issuer.root_der()).is_ok());
}
