//! What stands in a document.

use keyfold_attest::{CborError, VerifyError, VerifyError::*};
use keyfold_platform_dev::issuer::cbor;

use crate::world::World;

/// The verdict on a document in which one field has another value.
fn with(world: &mut World, name: &str, value: Vec<u8>) -> Option<VerifyError> {
    let document = world.certified(|it| *it.claim_mut(name).unwrap() = value);
    world.verify(&document).err()
}

fn bytes(len: usize) -> Vec<u8> {
    cbor::bytes(&vec![7; len])
}

fn pcrs(entries: &[(u64, usize)]) -> Vec<u8> {
    let entries: Vec<_> = entries
        .iter()
        .map(|(index, len)| (cbor::unsigned(*index), bytes(*len)))
        .collect();
    cbor::map(&entries, false)
}

#[test]
fn omitted_and_null_fields_mean_the_same() {
    let mut world = World::new();
    for name in ["public_key", "user_data"] {
        let omitted = world.certified(|it| it.omit(name));
        let null = world.certified(|it| *it.claim_mut(name).unwrap() = cbor::NULL.to_vec());
        for document in [omitted, null] {
            let verified = world.verify(&document).unwrap();
            let there = (
                verified.public_key().is_some(),
                verified.user_data().is_some(),
            );
            assert_eq!(there, (name != "public_key", name != "user_data"));
        }
    }
    let omitted = world.certified(|it| it.omit("nonce"));
    assert_eq!(world.refusal(&omitted), NonceMissing);
    assert_eq!(
        with(&mut world, "nonce", cbor::NULL.to_vec()),
        Some(NonceMissing)
    );
}

#[test]
fn undefined_is_not_null() {
    let mut world = World::new();
    for name in ["public_key", "user_data", "nonce"] {
        assert_eq!(
            with(&mut world, name, vec![0xf7]),
            Some(Cbor(CborError::UnexpectedType))
        );
    }
}

#[test]
fn a_document_without_a_required_field_is_refused() {
    let mut world = World::new();
    for name in [
        "module_id",
        "digest",
        "timestamp",
        "pcrs",
        "certificate",
        "cabundle",
    ] {
        let document = world.certified(|it| it.omit(name));
        assert_eq!(world.refusal(&document), MissingField(name));
        assert!(with(&mut world, name, cbor::NULL.to_vec()).is_some());
    }
}

#[test]
fn a_field_that_stands_twice_is_refused() {
    let mut world = World::new();
    let fields = world
        .issuer
        .draft(&world.request())
        .certify(&mut world.rng)
        .unwrap()
        .claims;
    for field in fields {
        for at in [0, 9] {
            let document = world.certified(|it| it.claims.insert(at, field.clone()));
            assert_eq!(world.refusal(&document), DuplicateField, "{}", field.0);
        }
    }
}

#[test]
fn an_optional_field_that_stands_there_as_null_and_as_a_value_is_refused() {
    let mut world = World::new();
    for at in [0, 9] {
        let document = world.certified(|it| {
            it.claims
                .insert(at, ("public_key".to_owned(), cbor::NULL.to_vec()))
        });
        assert_eq!(world.refusal(&document), DuplicateField);
    }
}

#[test]
fn an_unknown_field_is_refused() {
    let mut world = World::new();
    for name in ["extra", "Nonce", "nonce ", ""] {
        let document = world.certified(|it| it.claims.push((name.to_owned(), cbor::NULL.to_vec())));
        assert_eq!(world.refusal(&document), UnknownField, "{name}");
    }
}

#[test]
fn a_module_id_that_is_empty_or_no_text_is_refused() {
    let mut world = World::new();
    assert_eq!(
        with(&mut world, "module_id", cbor::text("")),
        Some(EmptyModuleId)
    );
    assert_eq!(
        with(&mut world, "module_id", bytes(4)),
        Some(Cbor(CborError::UnexpectedType))
    );
    assert_eq!(
        with(&mut world, "module_id", vec![0x62, 0xc3, 0x28]),
        Some(Cbor(CborError::NotUtf8))
    );
}

#[test]
fn a_digest_other_than_sha384_is_refused() {
    let mut world = World::new();
    for name in ["SHA256", "SHA512", "sha384", ""] {
        assert_eq!(with(&mut world, "digest", cbor::text(name)), Some(Digest));
    }
}

#[test]
fn pcrs_out_of_bounds_are_refused() {
    let mut world = World::new();
    let cases = [
        (pcrs(&[]), PcrCount),
        (pcrs(&[(32, 48)]), PcrIndex),
        (pcrs(&[(u64::MAX, 48)]), PcrIndex),
        (pcrs(&[(256, 48)]), PcrIndex),
        (pcrs(&[(0, 48), (0, 48)]), DuplicatePcr),
        (pcrs(&[(0, 0)]), PcrLength),
        (pcrs(&[(0, 32)]), PcrLength),
        (pcrs(&[(0, 47)]), PcrLength),
        (pcrs(&[(0, 64)]), PcrLength),
        (pcrs(&[(0, 65)]), PcrLength),
        (
            cbor::map(&[(cbor::integer(-1), bytes(48))], false),
            Cbor(CborError::UnexpectedType),
        ),
    ];
    for (value, error) in cases {
        assert_eq!(with(&mut world, "pcrs", value), Some(error));
    }
    let all: Vec<_> = (0..32).map(|index| (index, 48)).collect();
    assert_eq!(
        with(&mut world, "pcrs", pcrs(&all)),
        Some(MeasurementNotAllowed)
    );
}

#[test]
fn byte_strings_out_of_bounds_are_refused() {
    let mut world = World::new();
    let one_too_long = cbor::array(&[bytes(1025)]);
    let one_empty = cbor::array(&[bytes(0)]);
    let cases = [
        ("certificate", bytes(0), CertificateLength),
        ("certificate", bytes(1025), CertificateLength),
        ("cabundle", cbor::array(&[]), ChainLength),
        ("cabundle", one_too_long, CertificateLength),
        ("cabundle", one_empty, CertificateLength),
        ("public_key", bytes(0), PublicKeyLength),
        ("public_key", bytes(1025), PublicKeyLength),
        ("user_data", bytes(513), UserDataLength),
        ("nonce", bytes(513), NonceLength),
    ];
    for (name, value, error) in cases {
        assert_eq!(with(&mut world, name, value), Some(error), "{name}");
    }
    assert_eq!(with(&mut world, "public_key", bytes(1024)), None);
    assert_eq!(with(&mut world, "user_data", bytes(512)), None);
    assert_eq!(with(&mut world, "user_data", bytes(0)), None);
}

#[test]
fn a_length_of_all_memory_is_refused() {
    let mut world = World::new();
    let certified = world
        .issuer
        .draft(&world.request())
        .certify(&mut world.rng)
        .unwrap();
    for major in [2, 3, 4, 5] {
        for len in [u64::MAX, u64::from(u32::MAX)] {
            for name in [
                "module_id",
                "pcrs",
                "certificate",
                "cabundle",
                "public_key",
                "nonce",
            ] {
                let mut certified = certified.clone();
                *certified.claim_mut(name).unwrap() = cbor::head(major, len);
                assert!(matches!(
                    world.refusal(&certified.seal()),
                    Cbor(_) | PcrLength | CertificateLength | PublicKeyLength | NonceLength
                ));
            }
        }
    }
}

#[test]
fn a_payload_that_is_no_map_is_refused() {
    let mut world = World::new();
    let certified = world
        .issuer
        .draft(&world.request())
        .certify(&mut world.rng)
        .unwrap();
    let map = certified.payload();
    for payload in [
        Vec::new(),
        cbor::array(&[]),
        cbor::NULL.to_vec(),
        cbor::bytes(&map),
    ] {
        let document = certified.seal_payload(&payload);
        assert!(matches!(world.refusal(&document), Cbor(_)));
    }
    let longer = [map.as_slice(), &[0]].concat();
    let document = certified.seal_payload(&longer);
    assert_eq!(world.refusal(&document), Cbor(CborError::TrailingBytes));
    let shorter = &map[..map.len() - 1];
    let document = certified.seal_payload(shorter);
    assert_eq!(world.refusal(&document), Cbor(CborError::Truncated));
}
