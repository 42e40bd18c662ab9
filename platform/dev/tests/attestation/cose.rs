//! The envelope: COSE_Sign1.

use keyfold_attest::{CborError, VerifyError::*, danger};
use keyfold_platform_dev::issuer::cbor;

use crate::world::{World, emulated, header};

const SIGNATURE_LEN: usize = 96;
/// The order of the group (SEC 2, secp384r1).
const ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

#[test]
fn a_tagged_and_an_untagged_document_are_accepted_and_another_tag_is_not() {
    let mut world = World::new();
    for tag in [None, Some(18)] {
        let document = world.certified(|it| it.tag = tag);
        assert!(world.verify(&document).is_ok(), "{tag:?}");
    }
    for tag in [0, 17, 19, 98, u64::MAX] {
        let document = world.certified(|it| it.tag = Some(tag));
        assert_eq!(world.refusal(&document), WrongTag, "{tag}");
    }
}

#[test]
fn a_document_with_two_tags_is_refused() {
    let mut world = World::new();
    let tagged = [vec![0xd2], world.certified(|it| it.tag = Some(18))].concat();
    assert_eq!(world.refusal(&tagged), Cbor(CborError::UnexpectedType));
}

#[test]
fn definite_and_indefinite_maps_are_accepted() {
    let mut world = World::new();
    for indefinite in [false, true] {
        let document = world.certified(|it| it.indefinite = indefinite);
        assert!(world.verify(&document).is_ok(), "{indefinite}");
    }
}

#[test]
fn an_algorithm_other_than_es384_is_refused() {
    let mut world = World::new();
    // None of COSE, an emulator's -1, ES256, ES512, EdDSA, PS384, ES384 with the wrong sign.
    for algorithm in [0, -1, -7, -36, -8, -38, 35, i64::MIN, i64::MAX] {
        let document = world.certified(|it| it.protected = header(&[(1, algorithm)]));
        assert_eq!(world.refusal(&document), Algorithm, "{algorithm}");
    }
}

#[test]
fn an_algorithm_changed_after_signing_is_refused() {
    let mut world = World::new();
    let mut document = world.sound();
    let at = document
        .windows(2)
        .position(|two| two == [0x38, 0x22])
        .unwrap();
    document[at + 1] = 0x23;
    assert_eq!(world.refusal(&document), Algorithm);
}

#[test]
fn a_protected_header_with_anything_else_in_it_is_refused() {
    let mut world = World::new();
    for protected in [
        header(&[(1, -35), (4, 0)]),
        header(&[(1, -35), (1, -35)]),
        header(&[(4, 0), (1, -35)]),
        header(&[(3, -35)]),
        header(&[]),
        Vec::new(),
        cbor::array(&[cbor::integer(1), cbor::integer(-35)]),
    ] {
        let document = world.certified(|it| it.protected = protected.clone());
        assert_eq!(
            world.refusal(&document),
            ProtectedHeader,
            "{protected:02x?}"
        );
    }
    let document = world.certified(|it| it.protected.push(0));
    assert_eq!(world.refusal(&document), Cbor(CborError::TrailingBytes));
}

#[test]
fn an_unprotected_header_with_anything_in_it_is_refused() {
    let mut world = World::new();
    let certificate = cbor::map(&[(cbor::integer(33), cbor::bytes(b"certificate"))], false);
    for unprotected in [header(&[(1, -35)]), header(&[(4, 0)]), certificate] {
        let document = world.certified(|it| it.unprotected = unprotected);
        assert_eq!(world.refusal(&document), UnprotectedHeader);
    }
    let document = world.certified(|it| it.unprotected = cbor::NULL.to_vec());
    assert_eq!(world.refusal(&document), Cbor(CborError::UnexpectedType));
}

#[test]
fn a_signature_with_r_and_s_swapped_is_refused() {
    let mut world = World::new();
    let mut document = world.sound();
    let start = document.len() - SIGNATURE_LEN;
    document[start..].rotate_left(SIGNATURE_LEN / 2);
    assert_eq!(world.refusal(&document), Signature);
}

#[test]
fn a_signature_with_s_in_the_other_half_is_the_same_signature() {
    let mut world = World::new();
    let mut document = world.sound();
    let s = document.len() - SIGNATURE_LEN / 2;
    let mut borrow = 0;
    for (digit, order) in document[s..].iter_mut().zip(ORDER).rev() {
        let difference = i16::from(order) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = difference.rem_euclid(256) as u8;
    }
    assert!(world.verify(&document).is_ok());
}

#[test]
fn a_signature_of_zeros_or_of_numbers_too_large_is_refused() {
    let mut world = World::new();
    let document = world.sound();
    let half = SIGNATURE_LEN / 2;
    for bad in [[0; 48], [0xff; 48], ORDER] {
        for range in [half..SIGNATURE_LEN, 0..half] {
            let mut document = document.clone();
            let start = document.len() - SIGNATURE_LEN;
            document[start..][range].copy_from_slice(&bad);
            assert_eq!(world.refusal(&document), Signature);
        }
    }
}

#[test]
fn a_signature_of_another_length_is_refused() {
    let mut world = World::new();
    let document = world.sound();
    let (body, signature) = document.split_at(document.len() - SIGNATURE_LEN);
    let body = &body[..body.len() - 2]; // without the head of the signature
    for len in [0, 48, 64, 95, 97, 132] {
        let mut signature = signature.to_vec();
        signature.resize(len, 0);
        let document = [body.to_vec(), cbor::bytes(&signature)].concat();
        assert_eq!(world.refusal(&document), SignatureLength, "{len}");
    }
}

#[test]
fn an_array_of_another_length_is_refused() {
    let mut world = World::new();
    let document = world.sound();
    for (head, tail) in [(0x83, &[][..]), (0x85, &[0xf6]), (0x80, &[])] {
        let other = [&[head], &document[1..], tail].concat();
        assert_eq!(world.refusal(&other), NotCoseSign1);
    }
    let indefinite = |tail: &[u8]| [&[0x9f], &document[1..], tail].concat();
    assert!(world.verify(&indefinite(&[0xff])).is_ok());
    assert_eq!(world.refusal(&indefinite(&[0xf6, 0xff])), NotCoseSign1);
    assert_eq!(world.refusal(&indefinite(&[])), Cbor(CborError::Truncated));
}

#[test]
fn a_document_too_large_is_refused_before_it_is_read() {
    let world = World::new();
    let len = keyfold_attest::MAX_DOCUMENT_LEN + 1;
    assert_eq!(world.refusal(&vec![0x9f; len]), DocumentTooLarge { len });
    // Deep nesting and endless openings at the greatest length that is read.
    for byte in [0x9f, 0x81, 0xbf, 0xa1, 0x5f, 0x7f, 0xd2, 0xff, 0xf6] {
        world.refusal(&vec![byte; keyfold_attest::MAX_DOCUMENT_LEN]);
    }
}

/// An emulator names algorithm -1 and writes zeros for signature, certificate and bundle.
#[test]
fn a_document_of_an_emulator_can_be_shown_and_is_refused() {
    let mut world = World::new();
    let zeros = cbor::bytes(&[0; 64]);
    let certified = world.emulated(|_| {});
    let unsigned = |algorithm, signature| emulated(&certified, algorithm, signature);
    let document = unsigned(-1, zeros.clone());
    let shown = danger::inspect(&document).unwrap();
    assert_eq!(shown.algorithm(), -1);
    assert_eq!(shown.pcrs()[&0], [0xa0; 48]);
    assert_eq!(shown.public_key(), Some(&b"public key"[..]));
    assert_eq!(world.refusal(&document), Algorithm);
    assert_eq!(world.refusal(&unsigned(-35, zeros)), SignatureLength);
    assert_eq!(
        world.refusal(&unsigned(-35, cbor::bytes(&[0; 96]))),
        RootMismatch
    );
}
