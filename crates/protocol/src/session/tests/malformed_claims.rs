//! Claims of another number, type or size, well signed.

use super::*;

#[test]
fn a_claim_that_occurs_twice_is_refused() {
    let payload = serde_json::to_string(&claims()).unwrap();
    let genuine = payload.trim_end_matches('}');
    for twice in [
        r#""aud":"app.example""#,
        r#""exp":1800003600"#,
        r#""\u0065xp":1800003600"#,
        r#""later":1,"later":1"#,
        r#""x":{"y":1,"y":1}"#,
    ] {
        let jwt = forge_payload(&format!("{genuine},{twice}}}"));
        assert_eq!(
            check(&jwt, &[&ES256]),
            Err(SessionError::Malformed),
            "{twice}"
        );
    }
    let in_cnf = payload.replace(r#""cnf":{"#, r#""cnf":{"jkt":"x","#);
    assert_eq!(
        check(&forge_payload(&in_cnf), &[&ES256]),
        Err(SessionError::Malformed)
    );
    let in_header = r#"{"typ":"keyfold-session+jwt","alg":"none","alg":"ES256","kid":"#;
    let in_header = format!("{in_header}\"{}\"}}", ES256.public_jwk().kid());
    let jwt = forge(&ES256, &in_header, &payload);
    assert_eq!(check(&jwt, &[&ES256]), Err(SessionError::Malformed));
}

#[test]
fn a_claim_of_another_type_or_form_is_refused() {
    let address = "ab".repeat(20);
    for (name, value) in [
        ("aud", json!(["app.example"])),
        ("aud", json!("APP.example")),
        ("aud", Value::Null),
        ("iss", json!("01".repeat(31))),
        ("iss", json!("0A".repeat(32))),
        ("sub", json!(1)),
        ("cnf", json!({})),
        ("cnf", json!({"jkt": "AAAA"})),
        ("cnf", json!({"jkt": format!("{}=", Thumbprint([3; 32]))})),
        ("wallets", json!(address)),
        ("wallets", json!([address])),
        ("wallets", json!([format!("0x{}", address.to_uppercase())])),
        ("wallets", json!([format!("0x{address}00")])),
        ("exp", json!("1800003600")),
        ("exp", json!(1_800_003_600.5)),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("auth_time", Value::Null),
        ("amr", json!("otp")),
    ] {
        let result = check(&forge_claim(name, value.clone()), &[&ES256]);
        assert_eq!(result, Err(SessionError::Malformed), "{name}: {value}");
    }
    for name in serde_json::to_value(claims())
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
    {
        let mut payload = serde_json::to_value(claims()).unwrap();
        payload.as_object_mut().unwrap().remove(name);
        let jwt = forge_payload(&payload.to_string());
        assert_eq!(
            check(&jwt, &[&ES256]),
            Err(SessionError::Malformed),
            "no {name}"
        );
    }
    for payload in ["", "null", "[]", "{}", "{", "\u{feff}{}"] {
        assert_eq!(
            check(&forge_payload(payload), &[&ES256]),
            Err(SessionError::Malformed)
        );
    }
}

#[test]
fn lists_and_texts_have_limits() {
    let bad = [
        (
            SessionClaims {
                amr: vec![],
                ..claims()
            },
            "amr",
        ),
        (
            SessionClaims {
                amr: vec!["a".into(); 9],
                ..claims()
            },
            "amr",
        ),
        (
            SessionClaims {
                acr: String::new(),
                ..claims()
            },
            "acr",
        ),
        (
            SessionClaims {
                acr: "a b".into(),
                ..claims()
            },
            "acr",
        ),
        (
            SessionClaims {
                jti: "a".repeat(65),
                ..claims()
            },
            "jti",
        ),
        (
            SessionClaims {
                wallets: vec![AddressId::from_bytes([1; 20]); 65],
                ..claims()
            },
            "wallets",
        ),
    ];
    for (claims, what) in bad {
        assert_eq!(
            ES256.sign(&claims),
            Err(SignError::Claims(ClaimsError::Malformed(what)))
        );
    }
}
