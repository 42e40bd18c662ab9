//! The chain of certificates.

use keyfold_attest::VerifyError::{self, *};
use keyfold_attest::{RootError, TrustRoot};
use keyfold_platform_dev::issuer::{
    BasicConstraints, CertificateDraft, DevIssuer, ECDSA_WITH_SHA256, Extension, key_usage,
};

use crate::world::{NOW_MS, World};

const NOW_SECONDS: u64 = NOW_MS / 1000;
const AUTHORITY: BasicConstraints = BasicConstraints {
    ca: true,
    path_len: None,
};
/// nameConstraints.
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];

#[test]
fn a_document_under_another_root_is_refused() {
    let mut world = World::new();
    let other = World::with_seed(2).sound();
    assert_eq!(world.refusal(&other), RootMismatch);
    let aws = keyfold_attest::verify(&world.sound(), &TrustRoot::aws_nitro(), &world.expect());
    assert_eq!(aws.unwrap_err(), RootMismatch);
}

#[test]
fn a_root_replaced_by_one_of_the_same_subject_is_refused() {
    let mut world = World::new();
    let imitation = World::with_seed(2).issuer;
    let document = world.certified(|it| it.bundle[0] = imitation.root_der().to_vec());
    assert_eq!(world.refusal(&document), RootMismatch);
}

#[test]
fn a_chain_of_an_imitated_root_that_shows_the_true_root_is_refused() {
    let world = World::new();
    let root = world.issuer.root_der().to_vec();
    let document = World::with_seed(2).certified(|it| it.bundle[0] = root);
    assert_eq!(
        world.refusal(&document),
        CertificateSignature { position: 1 }
    );
}

#[test]
fn a_reordered_bundle_is_refused() {
    let mut world = World::new();
    let document = world.certified(|it| it.bundle.swap(0, 1));
    assert_eq!(world.refusal(&document), RootMismatch);
    let document = world.certified(|it| it.bundle.swap(1, 2));
    assert_eq!(world.refusal(&document), IssuerMismatch { position: 1 });
    let document = world.certified(|it| it.bundle.reverse());
    assert_eq!(world.refusal(&document), RootMismatch);
}

#[test]
fn a_bundle_with_a_certificate_too_many_is_refused() {
    let mut world = World::new();
    let root = world.issuer.root_der().to_vec();
    let document = world.certified(|it| it.bundle.push(root.clone()));
    assert_eq!(world.refusal(&document), PathLength { position: 1 });
    // Where no path length is in the way.
    let mut draft = world.issuer.draft(&world.request());
    for authority in &mut draft.intermediates {
        authority.basic_constraints = Some(AUTHORITY);
    }
    let mut certified = draft.certify(&mut world.rng).unwrap();
    certified.bundle.push(root.clone());
    assert_eq!(
        world.refusal(&certified.seal()),
        IssuerMismatch { position: 4 }
    );
    let document = world.certified(|it| it.bundle.insert(1, root));
    assert_eq!(world.refusal(&document), SelfIssued { position: 1 });
    let document = world.certified(|it| it.bundle.push(it.certificate.clone()));
    assert_eq!(world.refusal(&document), PathLength { position: 1 });
}

#[test]
fn a_bundle_with_a_certificate_missing_is_refused() {
    let mut world = World::new();
    for index in 1..=3 {
        let document = world.certified(|it| {
            it.bundle.remove(index);
        });
        assert!(matches!(
            world.refusal(&document),
            IssuerMismatch { position } if position == index
        ));
    }
    let document = world.certified(|it| it.bundle.clear());
    assert_eq!(world.refusal(&document), ChainLength);
}

#[test]
fn a_chain_of_more_than_eight_is_refused() {
    let mut world = World::new();
    let mut chain_of = |intermediates: usize| {
        let document = world.drafted(|it| {
            it.intermediates = (0..intermediates)
                .map(|n| {
                    let name = format!("authority {n}");
                    CertificateDraft::authority(&name, None, NOW_SECONDS - 9, NOW_SECONDS + 9)
                })
                .collect();
        });
        world.verify(&document).err()
    };
    assert_eq!(chain_of(0), None);
    assert_eq!(chain_of(6), None);
    assert_eq!(chain_of(7), Some(ChainLength));
}

#[test]
fn a_leaf_that_is_an_authority_is_refused() {
    let mut world = World::new();
    let document = world.drafted(|it| it.leaf.basic_constraints = Some(AUTHORITY));
    assert_eq!(world.refusal(&document), LeafIsAuthority);
    let document = world.drafted(|it| it.leaf.basic_constraints = None);
    assert_eq!(world.refusal(&document), LeafIsAuthority);
}

#[test]
fn a_document_signed_by_an_authority_is_refused() {
    let mut world = World::new();
    let document = world.drafted(|it| {
        it.leaf = it.intermediates.pop().unwrap();
    });
    assert_eq!(world.refusal(&document), LeafIsAuthority);
}

#[test]
fn an_authority_that_is_none_is_refused() {
    let mut world = World::new();
    for position in 1..=3 {
        for constraints in [
            None,
            Some(BasicConstraints {
                ca: false,
                path_len: None,
            }),
        ] {
            let document =
                world.drafted(|it| it.intermediates[position - 1].basic_constraints = constraints);
            assert_eq!(world.refusal(&document), NotAuthority { position });
        }
    }
}

#[test]
fn a_leaf_that_signs_another_leaf_is_refused() {
    let mut world = World::new();
    let document = world.drafted(|it| {
        let stolen = it.leaf.clone();
        it.intermediates.push(stolen);
        it.leaf.subject = "a leaf below a leaf".to_owned();
    });
    // The path length of the authority above counts the leaf among the authorities.
    assert_eq!(world.refusal(&document), PathLength { position: 1 });
    let document = world.drafted(|it| {
        for authority in &mut it.intermediates {
            authority.basic_constraints = Some(AUTHORITY);
        }
        let stolen = it.leaf.clone();
        it.intermediates.push(stolen);
        it.leaf.subject = "a leaf below a leaf".to_owned();
    });
    assert_eq!(world.refusal(&document), NotAuthority { position: 4 });
}

#[test]
fn a_path_longer_than_an_authority_allows_is_refused() {
    let mut world = World::new();
    for (position, allowed) in [(1, 1), (1, 0), (2, 0)] {
        let document = world.drafted(|it| {
            it.intermediates[position - 1].basic_constraints = Some(BasicConstraints {
                ca: true,
                path_len: Some(allowed),
            });
        });
        assert_eq!(world.refusal(&document), PathLength { position });
    }
}

#[test]
fn a_path_longer_than_the_root_allows_is_refused() {
    let mut world = World::new();
    let root = CertificateDraft::authority("", Some(2), NOW_SECONDS - 9, NOW_SECONDS + 9);
    world.issuer = DevIssuer::generate_as(&mut world.rng, root).unwrap();
    world.root = TrustRoot::from_der(world.issuer.root_der()).unwrap();
    let document = world.sound();
    assert_eq!(world.refusal(&document), PathLength { position: 0 });
}

#[test]
fn a_key_used_for_what_it_is_not_meant_for_is_refused() {
    let mut world = World::new();
    for usage in [
        None,
        Some(0),
        Some(key_usage::DIGITAL_SIGNATURE | key_usage::CRL_SIGN),
    ] {
        for position in 1..=3 {
            let document = world.drafted(|it| it.intermediates[position - 1].key_usage = usage);
            assert_eq!(world.refusal(&document), KeyUsage { position });
        }
    }
    let signs_certificates = key_usage::DIGITAL_SIGNATURE | key_usage::CERTIFICATE_SIGN;
    for usage in [
        None,
        Some(key_usage::NON_REPUDIATION),
        Some(signs_certificates),
    ] {
        let document = world.drafted(|it| it.leaf.key_usage = usage);
        assert_eq!(world.refusal(&document), KeyUsage { position: 4 });
    }
}

#[test]
fn a_certificate_outside_its_validity_is_refused() {
    let mut world = World::new();
    for position in 1..=4 {
        let mut at = |change: fn(&mut CertificateDraft)| -> Option<VerifyError> {
            let document = world.drafted(|it| {
                change(match position {
                    4 => &mut it.leaf,
                    _ => &mut it.intermediates[position - 1],
                });
            });
            world.verify(&document).err()
        };
        assert_eq!(
            at(|it| it.not_before_seconds = NOW_SECONDS + 1),
            Some(CertificateNotYetValid { position })
        );
        assert_eq!(
            at(|it| it.not_after_seconds = NOW_SECONDS - 1),
            Some(CertificateExpired { position })
        );
        assert_eq!(at(|it| it.not_before_seconds = NOW_SECONDS), None);
        assert_eq!(at(|it| it.not_after_seconds = NOW_SECONDS), None);
    }
}

#[test]
fn an_expired_root_is_refused() {
    let mut world = World::new();
    let root = CertificateDraft::authority("", None, NOW_SECONDS - 9, NOW_SECONDS - 1);
    world.issuer = DevIssuer::generate_as(&mut world.rng, root).unwrap();
    world.root = TrustRoot::from_der(world.issuer.root_der()).unwrap();
    let document = world.sound();
    assert_eq!(world.refusal(&document), CertificateExpired { position: 0 });
}

#[test]
fn a_certificate_that_names_another_issuer_is_refused() {
    let mut world = World::new();
    for position in 1..=4 {
        let document = world.drafted(|it| {
            let draft = match position {
                4 => &mut it.leaf,
                _ => &mut it.intermediates[position - 1],
            };
            draft.issuer = Some("somebody else".to_owned());
        });
        assert_eq!(world.refusal(&document), IssuerMismatch { position });
    }
}

#[test]
fn an_unknown_critical_extension_is_refused_and_an_unknown_hint_is_not() {
    let mut world = World::new();
    let mut with = |critical, position: usize| {
        let document = world.drafted(|it| {
            let draft = match position {
                4 => &mut it.leaf,
                _ => &mut it.intermediates[position - 1],
            };
            draft.extensions.push(Extension {
                oid: NAME_CONSTRAINTS.to_vec(),
                critical,
                value: vec![0x30, 0],
            });
        });
        world.verify(&document).err()
    };
    for position in 1..=4 {
        assert_eq!(
            with(true, position),
            Some(UnknownCriticalExtension { position })
        );
        assert_eq!(with(false, position), None);
    }
}

#[test]
fn an_extension_that_stands_twice_is_refused() {
    let mut world = World::new();
    let document = world.drafted(|it| {
        it.leaf.extensions.push(Extension {
            oid: KEY_USAGE.to_vec(),
            critical: true,
            value: vec![0x03, 0x02, 0x07, 0x80],
        });
    });
    assert_eq!(world.refusal(&document), DuplicateExtension { position: 4 });
}

#[test]
fn a_certificate_signed_with_another_algorithm_is_refused() {
    let mut world = World::new();
    let document = world.drafted(|it| it.intermediates[1].algorithm = ECDSA_WITH_SHA256);
    assert_eq!(
        world.refusal(&document),
        CertificateAlgorithm { position: 2 }
    );
    let document = world.drafted(|it| it.leaf.algorithm = ECDSA_WITH_SHA256);
    assert_eq!(
        world.refusal(&document),
        CertificateAlgorithm { position: 4 }
    );
}

#[test]
fn a_certificate_of_another_version_is_refused() {
    let mut world = World::new();
    for version in [1, 3] {
        let document = world.drafted(|it| it.leaf.version = version);
        assert_eq!(
            world.refusal(&document),
            CertificateMalformed { position: 4 }
        );
    }
}

#[test]
fn a_leaf_of_another_document_is_refused() {
    let mut world = World::new();
    let other = world
        .issuer
        .draft(&world.request())
        .certify(&mut world.rng)
        .unwrap();
    let document = world.certified(|it| it.certificate = other.certificate.clone());
    assert_eq!(
        world.refusal(&document),
        CertificateSignature { position: 4 }
    );
    // With its whole chain: everything is genuine but not the signer.
    let document = world.certified(|it| {
        it.bundle = other.bundle.clone();
        it.certificate = other.certificate.clone();
    });
    assert_eq!(world.refusal(&document), Signature);
}

#[test]
fn bytes_after_a_certificate_are_refused() {
    let mut world = World::new();
    let document = world.certified(|it| it.certificate.push(0));
    assert_eq!(
        world.refusal(&document),
        CertificateMalformed { position: 4 }
    );
}

#[test]
fn a_certificate_that_is_no_root_is_not_taken_for_one() {
    let mut world = World::new();
    let certified = world
        .issuer
        .draft(&world.request())
        .certify(&mut world.rng)
        .unwrap();
    assert_eq!(
        TrustRoot::from_der(&certified.certificate),
        Err(RootError::NotAuthority)
    );
    assert_eq!(
        TrustRoot::from_der(&certified.bundle[1]),
        Err(RootError::NotSelfSigned)
    );
    assert_eq!(TrustRoot::from_der(b""), Err(RootError::Malformed));
}

#[test]
fn a_certificate_with_a_key_of_another_curve_or_form_is_refused() {
    let mut world = World::new();
    // The curve's identifier, and the byte that says that both coordinates follow.
    for (original, other) in [
        (&[0x2b, 0x81, 0x04, 0x00, 0x22][..], 0x23),
        (&[0x03, 0x62, 0x00, 0x04], 0x02),
    ] {
        let document = world.certified(|it| {
            let len = original.len();
            let at = it
                .certificate
                .windows(len)
                .position(|bytes| bytes == original)
                .unwrap();
            it.certificate[at + len - 1] = other;
        });
        assert_eq!(world.refusal(&document), CertificateKey { position: 4 });
    }
}
