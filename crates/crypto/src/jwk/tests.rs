use super::*;
use crate::testing::SeededRng;

/// RFC 8037 appendix A.2 and A.3.
const ED25519: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const ED25519_THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

/// RFC 9449 sections 4.1 and 6.1.
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#;
const P256_THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

fn parse(json: &str) -> Result<PublicJwk, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn rfc_8037_and_rfc_9449_thumbprints() {
    for (json, thumbprint) in [(ED25519, ED25519_THUMBPRINT), (P256, P256_THUMBPRINT)] {
        let key = parse(json).unwrap();
        assert_eq!(key.thumbprint().to_string(), thumbprint);
        assert_eq!(serde_json::to_string(&key).unwrap(), json);
        assert_eq!(thumbprint.parse(), Ok(key.thumbprint()));
        let quoted = serde_json::to_string(&key.thumbprint()).unwrap();
        assert_eq!(quoted, format!("\"{thumbprint}\""));
        assert_eq!(
            serde_json::from_str::<Thumbprint>(&quoted).unwrap(),
            key.thumbprint()
        );
    }
}

#[test]
fn rfc_8037_appendix_a_4_signature() {
    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature: [u8; 64] = b64::decode_array(
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    )
    .unwrap();
    let key = parse(ED25519).unwrap();
    assert_eq!(key.verify(input.as_bytes(), &signature), Ok(()));
    assert_eq!(key.verify(b"", &signature), Err(InvalidSignature));
}

#[test]
fn rfc_7515_appendix_a_3_signature() {
    let key = parse(
        r#"{"kty":"EC","crv":"P-256",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    )
    .unwrap();
    let input = concat!(
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt",
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    );
    let signature: [u8; 64] = b64::decode_array(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    )
    .unwrap();
    assert_eq!(key.verify(input.as_bytes(), &signature), Ok(()));
}

#[test]
fn members_of_webcrypto_are_ignored() {
    let exported = P256.replace('}', r#","ext":true,"key_ops":["verify"],"alg":"ES256"}"#);
    assert_eq!(parse(&exported), parse(P256));
}

#[test]
fn bad_keys_are_refused() {
    let private = ED25519.replace(
        '}',
        r#","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#,
    );
    assert!(parse(&private).unwrap_err().contains("private key"));
    for bad in [
        // Not on the curve; small order.
        P256.replace("l8tF", "l8tG"),
        r#"{"kty":"OKP","crv":"Ed25519","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#
            .to_owned(),
        // Types and curves mixed up.
        P256.replace("EC", "OKP"),
        P256.replace("P-256", "P-384"),
        ED25519.replace("Ed25519", "X25519"),
        ED25519.replace(
            '}',
            r#","y":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        ),
        // Lengths.
        P256.replace("\"l8", "\""),
        P256.replace("\"l8", "\"AAAAl8"),
        // Members that are missing, double or null.
        r#"{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"}"#
            .to_owned(),
        P256.replace('}', r#","kty":"EC"}"#),
        "{}".to_owned(),
        "null".to_owned(),
    ] {
        assert!(parse(&bad).is_err(), "{bad}");
    }
}

#[test]
fn keys_made_by_hand_are_checked_at_use() {
    let bad = PublicJwk::P256 {
        x: [1; 32],
        y: [1; 32],
    };
    assert_eq!(bad.validate(), Err(InvalidJwk));
    assert_eq!(bad.verify(b"", &[1; 64]), Err(InvalidSignature));
}

#[test]
fn device_keys_sign_store_and_verify() {
    let mut rng = SeededRng::new(1);
    for key in [
        DeviceSigningKey::generate_p256(&mut rng),
        DeviceSigningKey::generate_ed25519(&mut rng),
    ] {
        let public = key.public_jwk();
        let signature = key.sign(b"message");
        assert_eq!(public.verify(b"message", &signature), Ok(()));
        assert_eq!(public.verify(b"massage", &signature), Err(InvalidSignature));
        assert_eq!(
            public.verify(b"message", &signature[..63]),
            Err(InvalidSignature)
        );
        assert_eq!(
            public.verify(b"message", &[&signature[..], &[0]].concat()),
            Err(InvalidSignature)
        );
        let stored = key.to_secret_bytes();
        let read = stored.expose(DeviceSigningKey::from_secret_bytes).unwrap();
        assert_eq!(read.public_jwk(), public);
        assert!(format!("{key:?}").contains("[redacted]"));
        assert_eq!(parse(&serde_json::to_string(&public).unwrap()), Ok(public));
    }
}

#[test]
fn malformed_device_keys_are_refused() {
    for bytes in [&[][..], &[1], &[1; 32], &[1; 34], &[3; 33], &[0; 33]] {
        assert!(DeviceSigningKey::from_secret_bytes(bytes).is_err());
    }
    let mut zero_p256 = [0; 33];
    zero_p256[0] = 1;
    assert!(DeviceSigningKey::from_secret_bytes(&zero_p256).is_err());
}

#[test]
fn thumbprints_of_other_lengths_are_refused() {
    assert!("".parse::<Thumbprint>().is_err());
    assert!(ED25519_THUMBPRINT[1..].parse::<Thumbprint>().is_err());
    assert!(
        format!("{ED25519_THUMBPRINT}A")
            .parse::<Thumbprint>()
            .is_err()
    );
    assert!(serde_json::from_str::<Thumbprint>("\"AA\"").is_err());
}
