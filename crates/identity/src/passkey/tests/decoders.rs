//! Keys, settings, and bytes that are nothing at all.

use proptest::prelude::*;

use super::*;

#[test]
fn keys_of_other_algorithms_shapes_or_strengths_are_refused() {
    let parse = |text: &str| PasskeyPublicKey::from_cose(&hex::decode(text).unwrap());
    let point = "21582065eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d2258201e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c";
    let es256 = format!("a50102032620 01{point}").replace(' ', "");
    assert!(parse(&es256).is_ok());
    for (bad, error) in [
        // ES384's number, P-384, a symmetric key, Ed448, "none".
        (
            es256.replace("0326", "033822"),
            CoseError::UnsupportedAlgorithm,
        ),
        (es256.replace("2001", "2002"), CoseError::WrongParameters),
        (es256.replace("0102", "0104"), CoseError::WrongParameters),
        (
            es256.replace("0326", "0300"),
            CoseError::UnsupportedAlgorithm,
        ),
        // EdDSA and RS256 over a P-256 key: the key type decides.
        (es256.replace("0326", "0327"), CoseError::WrongParameters),
        (
            es256.replace("0326", "03390100"),
            CoseError::WrongParameters,
        ),
        // Not on the curve; a compressed y; a sixth parameter; another order.
        (es256.replace("84d19c", "84d19d"), CoseError::InvalidKey),
        (es256.replace("a5", "a6"), CoseError::WrongParameters),
        (
            es256.replace("01020326", "03260102"),
            CoseError::WrongParameters,
        ),
        (
            format!("{es256}00"),
            CoseError::Cbor(CborError::TrailingBytes),
        ),
        // Ed25519 points of small order, for which one signature fits every message.
        (
            format!("a4010103272006215820{}", "00".repeat(32)),
            CoseError::InvalidKey,
        ),
        (
            format!("a401010327200621582001{}", "00".repeat(31)),
            CoseError::InvalidKey,
        ),
        // RSA: 1024 bits, an even modulus, a leading zero, exponents 3 and 1.
        (
            format!("a401030339010020 5880{}2143010001", "ff".repeat(128)),
            CoseError::InvalidKey,
        ),
        (
            format!("a401030339010020590100{}fe2143010001", "ff".repeat(255)),
            CoseError::InvalidKey,
        ),
        (
            format!("a40103033901002059010100{}2143010001", "ff".repeat(256)),
            CoseError::InvalidKey,
        ),
        (
            format!("a401030339010020590100{}214103", "ff".repeat(256)),
            CoseError::InvalidKey,
        ),
        (
            format!("a401030339010020590100{}214101", "ff".repeat(256)),
            CoseError::InvalidKey,
        ),
        (
            format!("a401030339010020590201{}2143010001", "ff".repeat(513)),
            CoseError::InvalidKey,
        ),
    ] {
        assert_eq!(parse(&bad.replace(' ', "")).unwrap_err(), error, "{bad}");
    }
}

#[test]
fn a_relying_party_is_a_domain_and_its_pages_are_of_it() {
    let of = |id: &str, origin: &str| {
        let origin = PasskeyOrigin::parse(origin).unwrap();
        RelyingParty::new(id, vec![origin], Vec::new()).map(|_| ())
    };
    assert_eq!(of("app.example", "https://app.example"), Ok(()));
    assert_eq!(of("localhost", "http://localhost:3000"), Ok(()));
    let android = format!("android:apk-key-hash:{}", b64::encode(&[1; 32]));
    assert_eq!(of("app.example", &android), Ok(()));
    for origin in [
        "https://evilapp.example",
        "https://example",
        "https://app.example.evil.example",
    ] {
        assert_eq!(
            of("app.example", origin),
            Err(RelyingPartyError::Origin),
            "{origin}"
        );
    }
    for id in [
        "example",
        "",
        "App.example",
        "app.example.",
        "https://app.example",
        "127.0.0.1",
    ] {
        assert_eq!(of(id, &android), Err(RelyingPartyError::Id), "{id}");
    }
}

proptest! {
    #[test]
    fn what_reads_as_a_key_writes_the_same_bytes(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..80),
        genuine_head in any::<bool>(),
    ) {
        if genuine_head && bytes.len() >= 32 {
            bytes.truncate(32);
            bytes = [&hex::decode("a401010327200621 5820".replace(' ', "")).unwrap()[..], &bytes].concat();
        }
        if let Ok(key) = PasskeyPublicKey::from_cose(&bytes) {
            prop_assert_eq!(key.to_cose(), bytes);
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = AuthenticatorData::parse(&bytes);
        let _ = PasskeyPublicKey::from_cose(&bytes);
        let _ = der::p256_signature(&bytes);
        let party = party();
        let response = RegistrationResponse {
            credential_id: &bytes,
            client_data_json: &bytes,
            attestation_object: &bytes,
        };
        let preferred = UserVerification::Preferred;
        let _ = crate::passkey::registration::check_registration(&party, preferred, &[0; 32], &response);
    }
}
