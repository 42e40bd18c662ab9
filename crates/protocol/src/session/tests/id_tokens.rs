//! ID tokens: what they say, and that neither kind of token passes for the other.

use super::*;
use crate::session::id_token::{ID_TOKEN_SECONDS, ID_TOKEN_TYP, MAX_NONCE_LEN};

fn id_claims() -> IdTokenClaims {
    IdTokenClaims {
        iss: "https://id.example".parse().unwrap(),
        aud: PROJECT.clone(),
        sub: AccountId::from_bytes([2; 16]),
        nonce: Some("n-0S6_WzA2Mj".parse().unwrap()),
        auth_time: NOW - 100,
        amr: vec!["otp".into()],
        acr: "email-code".into(),
        sid: SessionId::from_bytes([4; 16]),
        iat: NOW,
        exp: NOW + 300,
        jti: "5".into(),
    }
}

fn check_id(
    jwt: &str,
    issuer: &str,
    project: &str,
    now: u64,
) -> Result<IdTokenClaims, SessionError> {
    let keys = set(&[&RS256, &ES256]);
    let (issuer, project) = (issuer.parse().unwrap(), project.parse().unwrap());
    verify_id_token(jwt, &keys, &issuer, &project, now)
}

fn check_here(jwt: &str) -> Result<IdTokenClaims, SessionError> {
    check_id(jwt, "https://id.example", "app.example", NOW)
}

/// Signs any claims with a real key as what `typ` says.
fn forge_as(typ: &str, claims: &Value) -> String {
    let mut header = header(&ES256);
    header["typ"] = typ.into();
    forge(&ES256, &header.to_string(), &claims.to_string())
}

#[test]
fn the_encoding_is_what_openid_libraries_expect() {
    let jwt = ES256.sign_id_token(&id_claims()).unwrap();
    let parts: Vec<Value> = jwt
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&b64::decode(part, 8192).unwrap()).unwrap())
        .collect();
    assert_eq!(
        parts[0],
        json!({"typ": "JWT", "alg": "ES256", "kid": ES256.public_jwk().kid().to_string()})
    );
    assert_eq!(
        parts[1],
        json!({
            "iss": "https://id.example", "aud": "app.example", "sub": "02".repeat(16),
            "nonce": "n-0S6_WzA2Mj", "auth_time": NOW - 100, "amr": ["otp"], "acr": "email-code",
            "sid": "04".repeat(16), "iat": NOW, "exp": NOW + 300, "jti": "5",
        })
    );
    for signer in [&*RS256, &*ES256] {
        let jwt = signer.sign_id_token(&id_claims()).unwrap();
        assert_eq!(check_here(&jwt), Ok(id_claims()));
    }
}

#[test]
fn an_id_token_is_no_attestation_and_an_attestation_no_id_token() {
    for signer in [&*RS256, &*ES256] {
        let token = signer.sign_id_token(&id_claims()).unwrap();
        let attestation = signer.sign(&claims()).unwrap();
        assert_eq!(check(&token, &[signer]), Err(SessionError::Malformed));
        assert_eq!(check_here(&attestation), Err(SessionError::Malformed));
    }
    // Not even where somebody has the key sign the claims of one as the other.
    let id = serde_json::to_value(id_claims()).unwrap();
    let session = serde_json::to_value(claims()).unwrap();
    assert_eq!(
        check(&forge_as(TYP, &id), &[&ES256]),
        Err(SessionError::Malformed)
    );
    assert_eq!(
        check_here(&forge_as(ID_TOKEN_TYP, &session)),
        Err(SessionError::Malformed)
    );
    // Nor claims that would do for both, as far as the header tells them apart.
    let mut both = session;
    for (name, value) in id.as_object().unwrap() {
        both[name] = value.clone();
    }
    assert!(check(&forge_as(ID_TOKEN_TYP, &both), &[&ES256]).is_err());
    assert!(check(&forge_as(TYP, &both), &[&ES256]).is_err());
    assert!(check_here(&forge_as(TYP, &both)).is_err());
    for typ in ["jwt", "at+jwt", "", "application/jwt"] {
        assert_eq!(
            check_here(&forge_as(typ, &id)),
            Err(SessionError::Malformed)
        );
    }
}

#[test]
fn an_id_token_of_another_issuer_project_or_time_is_refused() {
    let jwt = ES256.sign_id_token(&id_claims()).unwrap();
    let issuer = "https://id.example";
    for other in ["https://id.example:8443", "https://idx.example"] {
        let refused = check_id(&jwt, other, "app.example", NOW);
        assert_eq!(refused, Err(SessionError::WrongRealm));
    }
    let refused = check_id(&jwt, issuer, "other.example", NOW);
    assert_eq!(refused, Err(SessionError::WrongProject));
    assert!(check_id(&jwt, issuer, "app.example", NOW + 299).is_ok());
    for (now, error) in [
        (NOW + 300, SessionError::Expired),
        (u64::MAX, SessionError::Expired),
        (NOW - 31, SessionError::NotYetValid),
    ] {
        assert_eq!(check_id(&jwt, issuer, "app.example", now), Err(error));
    }
    let keys = set(&[&RS256]);
    let refused = verify_id_token(&jwt, &keys, &id_claims().iss, &PROJECT, NOW);
    assert_eq!(refused, Err(SessionError::UnknownKey));
}

#[test]
fn no_id_token_lasts_longer_than_ten_minutes() {
    let most = *ID_TOKEN_SECONDS.end();
    let lasting = |seconds| IdTokenClaims {
        exp: NOW + seconds,
        ..id_claims()
    };
    assert!(ES256.sign_id_token(&lasting(most)).is_ok());
    for (bad, error) in [
        (lasting(most + 1), ClaimsError::LifetimeTooLong),
        (lasting(0), ClaimsError::TimesOutOfOrder),
        (
            IdTokenClaims {
                auth_time: 0,
                ..id_claims()
            },
            ClaimsError::SessionTooOld,
        ),
        (
            IdTokenClaims {
                amr: Vec::new(),
                ..id_claims()
            },
            ClaimsError::Malformed("amr"),
        ),
        (
            IdTokenClaims {
                acr: " ".into(),
                ..id_claims()
            },
            ClaimsError::Malformed("acr"),
        ),
        (
            IdTokenClaims {
                jti: String::new(),
                ..id_claims()
            },
            ClaimsError::Malformed("jti"),
        ),
    ] {
        // The signer refuses to say it, and the verifier to believe it from a signer that did.
        assert_eq!(ES256.sign_id_token(&bad), Err(SignError::Claims(error)));
        let forged = forge_as(ID_TOKEN_TYP, &serde_json::to_value(&bad).unwrap());
        assert_eq!(check_here(&forged), Err(SessionError::Claims(error)));
    }
}

#[test]
fn an_issuer_has_one_spelling_and_a_nonce_is_bounded() {
    for good in [
        "https://id.example",
        "https://id.example:8443",
        "https://127.0.0.1:7000",
        "https://localhost",
    ] {
        assert_eq!(good.parse::<Issuer>().unwrap().as_str(), good);
    }
    for bad in [
        "http://id.example",
        "https://id.example/",
        "https://id.example/path",
        "https://id.example?x",
        "https://id.example#x",
        "https://ID.example",
        "https://id.example:443",
        "https://id.example:08443",
        "https://id.example:",
        "https://me@id.example",
        "https://id..example",
        "https://",
        "https://id.example ",
        "",
    ] {
        assert!(bad.parse::<Issuer>().is_err(), "{bad}");
    }
    let long = format!("https://{}", vec!["a"; 140].join("."));
    assert!(long.parse::<Issuer>().is_err());
    assert!("a".repeat(MAX_NONCE_LEN).parse::<Nonce>().is_ok());
    let long = "a".repeat(MAX_NONCE_LEN + 1);
    for bad in ["", "a b", "a\n", "\u{e9}", &*long] {
        assert!(bad.parse::<Nonce>().is_err(), "{bad}");
    }
}
