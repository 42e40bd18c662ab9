use p384::ecdsa::signature::Signer;
use p384::ecdsa::{Signature as P384Signature, SigningKey};
use proptest::prelude::*;

use super::*;

/// The order of the group (SEC 2, secp384r1).
const ORDER: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
                     581a0db248b0a77aecec196accc52973";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; SCALAR_LEN]).unwrap()
}

fn point(key: &SigningKey) -> Vec<u8> {
    key.verifying_key().to_sec1_point(false).as_bytes().to_vec()
}

fn sign(key: &SigningKey, message: &[u8]) -> Signature {
    let signature: P384Signature = key.sign(message);
    signature.to_bytes().as_slice().try_into().unwrap()
}

/// What both back ends say, which must be the same.
fn verdict(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let fast = fast::verifies(point, message, signature);
    assert_eq!(
        fast,
        portable::verifies(point, message, signature),
        "the back ends disagree"
    );
    fast
}

/// The group's order minus a big-endian number.
fn negate(scalar: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut out: Vec<u8> = hex::decode(ORDER)
        .unwrap()
        .iter()
        .zip(scalar)
        .rev()
        .map(|(n, s)| {
            let difference = i16::from(*n) - i16::from(*s) - borrow;
            borrow = i16::from(difference < 0);
            difference.rem_euclid(256) as u8
        })
        .collect();
    out.reverse();
    out
}

/// RFC 6979, A.2.6: P-384 with SHA-384, message "sample".
#[test]
fn the_signature_of_rfc_6979_verifies() {
    let point = hex::decode(
        "04ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a25451\
         5480bc138015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe73\
         44fd2533264720",
    )
    .unwrap();
    let signature = hex::decode(
        "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80\
         fabe4699ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82\
         c71a38628ac8",
    )
    .unwrap();
    assert!(verdict(&point, b"sample", &signature));
    assert!(!verdict(&point, b"Sample", &signature));
}

#[test]
fn a_signature_with_s_in_the_other_half_is_valid_too() {
    let key = key(7);
    let signature = sign(&key, b"message");
    let (r, s) = signature.split_at(SCALAR_LEN);
    assert!(verdict(&point(&key), b"message", &signature));
    assert!(verdict(&point(&key), b"message", &[r, &negate(s)].concat()));
}

#[test]
fn a_signature_with_r_and_s_swapped_is_refused() {
    let key = key(7);
    let signature = sign(&key, b"message");
    let (r, s) = signature.split_at(SCALAR_LEN);
    assert!(!verdict(&point(&key), b"message", &[s, r].concat()));
}

#[test]
fn values_of_zero_or_of_the_order_and_above_are_refused() {
    let key = key(7);
    let signature = sign(&key, b"message");
    let (r, s) = signature.split_at(SCALAR_LEN);
    let zero = vec![0; SCALAR_LEN];
    let order = hex::decode(ORDER).unwrap();
    for bad in [zero, order, vec![0xff; SCALAR_LEN]] {
        assert!(!verdict(&point(&key), b"message", &[r, &bad].concat()));
        assert!(!verdict(&point(&key), b"message", &[&bad, s].concat()));
        assert!(!verdict(
            &point(&key),
            b"message",
            &[&bad[..], &bad].concat()
        ));
    }
}

#[test]
fn a_key_that_is_no_point_of_the_curve_verifies_nothing() {
    let key = key(7);
    let signature = sign(&key, b"message");
    let mut off_curve = point(&key);
    *off_curve.last_mut().unwrap() ^= 1;
    assert!(!verdict(&off_curve, b"message", &signature));
    assert!(!verdict(&[4; 97], b"message", &signature));
    let compressed = key.verifying_key().to_sec1_point(true);
    assert!(PublicKey::parse(compressed.as_bytes()).is_none());
    assert!(PublicKey::parse(&[0]).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_back_ends_agree_on_any_flipped_bit(
        seed in 1u8..=254, message in any::<[u8; 16]>(), byte in 0usize..96, bit in 0u8..8,
    ) {
        let key = key(seed);
        let mut signature = sign(&key, &message);
        prop_assert!(verdict(&point(&key), &message, &signature));
        signature[byte] ^= 1 << bit;
        prop_assert!(!verdict(&point(&key), &message, &signature));
    }

    #[test]
    fn the_back_ends_agree_on_arbitrary_bytes(
        point in prop::collection::vec(any::<u8>(), 0..100),
        signature in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        prop_assert!(!verdict(&point, b"message", &signature));
    }
}
