//! The vectors of both RFCs, replay, and the window.

use keyfold_crypto::testing::SeededRng;

use super::*;

const DEVICE: [u8; 32] = [7; 32];
const SEED: &[u8] = b"1234567890123456789012345678901234567890123456789012345678901234";

fn secret(len: usize, algorithm: TotpAlgorithm) -> TotpSecret {
    TotpSecret::new(SecretBytes::from_slice(&SEED[..len]), algorithm).unwrap()
}

fn shown(secret: &TotpSecret, step: u64) -> TotpCode {
    TotpCode(secret.code(step).unwrap())
}

fn at(code: &TotpCode, last: Option<u64>, now: u64) -> Result<u64, WrongCode> {
    let context = TotpContext {
        project: "app",
        device: &DEVICE,
    };
    let secret = secret(20, TotpAlgorithm::Sha1);
    verify(&secret, &context, code, last, now).map(|proven| {
        assert_eq!((proven.project(), proven.device()), ("app", &DEVICE));
        proven.step()
    })
}

#[test]
fn rfc_4226_appendix_d() {
    let secret = secret(20, TotpAlgorithm::Sha1);
    let truncated = [
        1_284_755_224,
        1_094_287_082,
        137_359_152,
        1_726_969_429,
        1_640_338_314,
        868_254_676,
        1_918_287_922,
        82_162_583,
        673_399_871,
        645_520_489,
    ];
    let codes = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];
    for (step, (number, code)) in truncated.into_iter().zip(codes).enumerate() {
        assert_eq!(secret.truncated(step as u64), Some(number));
        assert_eq!(
            secret.code(step as u64).unwrap().as_slice(),
            code.as_bytes()
        );
    }
}

#[test]
fn rfc_6238_appendix_b() {
    for (time, sha1, sha256, sha512) in [
        (59, 94_287_082, 46_119_246, 90_693_936),
        (1_111_111_109, 7_081_804, 68_084_774, 25_091_201),
        (1_111_111_111, 14_050_471, 67_062_674, 99_943_326),
        (1_234_567_890, 89_005_924, 91_819_424, 93_441_116),
        (2_000_000_000, 69_279_037, 90_698_825, 38_618_901),
        (20_000_000_000, 65_353_130, 77_737_706, 47_863_826),
    ] {
        for (len, algorithm, code) in [
            (20, TotpAlgorithm::Sha1, sha1),
            (32, TotpAlgorithm::Sha256, sha256),
            (64, TotpAlgorithm::Sha512, sha512),
        ] {
            let number = secret(len, algorithm)
                .truncated(time / STEP_SECONDS)
                .unwrap();
            assert_eq!(number % 100_000_000, code, "{time} {algorithm:?}");
        }
    }
}

#[test]
fn a_code_is_accepted_one_step_early_and_late_and_no_further() {
    let secret = secret(20, TotpAlgorithm::Sha1);
    let step = 60_000_000;
    let code = shown(&secret, step);
    let begin = step * STEP_SECONDS;
    for (now, accepted) in [
        (begin - 31, false),
        (begin - 30, true),
        (begin, true),
        (begin + 59, true),
        (begin + 60, false),
        (0, false),
        (u64::MAX, false),
    ] {
        let wanted = if accepted { Ok(step) } else { Err(WrongCode) };
        assert_eq!(at(&code, None, now), wanted, "{now}");
    }
}

#[test]
fn a_code_that_was_used_and_every_earlier_one_is_refused() {
    let secret = secret(20, TotpAlgorithm::Sha1);
    let step = 60_000_000;
    let now = step * STEP_SECONDS;
    assert_eq!(at(&shown(&secret, step), Some(step - 1), now), Ok(step));
    assert_eq!(at(&shown(&secret, step), Some(step), now), Err(WrongCode));
    assert_eq!(
        at(&shown(&secret, step - 1), Some(step), now),
        Err(WrongCode)
    );
    assert_eq!(at(&shown(&secret, step + 1), Some(step), now), Ok(step + 1));
    // Used one step early: the clock that goes back brings nothing back.
    assert_eq!(
        at(&shown(&secret, step), Some(step + 1), now),
        Err(WrongCode)
    );
    assert_eq!(
        at(&shown(&secret, step), Some(u64::MAX), now),
        Err(WrongCode)
    );
}

#[test]
fn only_six_ascii_digits_are_a_code() {
    assert!(TotpCode::parse("000000").is_some());
    for bad in [
        "",
        "12345",
        "1234567",
        "12 345",
        "12345a",
        "+12345",
        "\u{ff11}\u{ff12}",
        "\u{661}\u{662}\u{663}",
        "12345\0",
    ] {
        assert!(TotpCode::parse(bad).is_none(), "{bad:?}");
    }
    let code = TotpCode::parse("123456").unwrap();
    assert_eq!(format!("{code:?}"), "TotpCode([redacted])");
}

#[test]
fn the_uri_carries_the_secret_and_nothing_that_was_put_into_the_label() {
    let secret = secret(20, TotpAlgorithm::Sha1);
    secret.with_uri("Shop & Co", "anna@mail.example?secret=A&x", |uri| {
        assert_eq!(
            uri,
            "otpauth://totp/Shop%20%26%20Co:anna%40mail.example%3Fsecret%3DA%26x\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Shop%20%26%20Co\
             &algorithm=SHA1&digits=6&period=30"
        );
    });
    assert_eq!(format!("{secret:?}"), "TotpSecret([redacted])");
}

/// RFC 4648 section 10, without its padding.
#[test]
fn base32_of_rfc_4648() {
    for (bytes, text) in [
        ("", ""),
        ("f", "MY"),
        ("fo", "MZXQ"),
        ("foo", "MZXW6"),
        ("foob", "MZXW6YQ"),
        ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI"),
    ] {
        let mut out = String::new();
        base32(bytes.as_bytes(), &mut out);
        assert_eq!(out, text);
    }
}

#[test]
fn secrets_are_drawn_and_neither_short_nor_long() {
    let mut rng = SeededRng::new(1);
    let (one, two) = (TotpSecret::random(&mut rng), TotpSecret::random(&mut rng));
    assert_eq!(one.key().len(), 20);
    assert!(one.key().expose(|one| two.key().expose(|two| one != two)));
    for len in [0, 15, 65] {
        let key = SecretBytes::from_slice(&vec![1; len]);
        assert!(TotpSecret::new(key, TotpAlgorithm::Sha1).is_err(), "{len}");
    }
}
