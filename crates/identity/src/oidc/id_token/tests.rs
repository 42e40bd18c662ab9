//! ID tokens of a test issuer: true ones, and each with one defect.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::oidc::binding::NonceSalt;
use crate::oidc::testing::{NOW, TestKey, token_of_text};
use keyfold_crypto::jwk::Thumbprint;

const ISSUER: &str = "https://login.example";
const DEVICE: Thumbprint = Thumbprint([7; 32]);
const SALT: NonceSalt = NonceSalt::from_bytes([9; 32]);

fn nonce() -> Nonce {
    Nonce::for_device("app.example", &DEVICE, &SALT)
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "24400320", "aud": "client-1", "nonce": nonce().as_str(),
        "iat": NOW - 5, "exp": NOW + 300, "auth_time": NOW - 20, "acr": "urn:mace:incommon:iap:silver",
        "email": "Anna@mail.example", "email_verified": true,
    })
}

fn expectation(nonce: &Nonce) -> IdTokenExpectation<'_> {
    IdTokenExpectation {
        issuer: ISSUER,
        client_id: "client-1",
        trusted_audiences: &["our-api"],
        algorithms: &Algorithm::ALL,
        nonce: Some(nonce),
        max_token_age_seconds: 600,
        max_authentication_age_seconds: None,
        acr_values: &[],
        email_trust: EmailTrust::Claimed,
        now_unix_seconds: NOW,
    }
}

fn check(claims: &Value) -> Result<ProvenSubject, IdTokenError> {
    let key = TestKey::es256("k");
    verify(&key.token(claims), &key.set(), &expectation(&nonce()))
}

/// The claims with one changed; `null` removes it.
fn with(member: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(member);
    } else {
        claims[member] = value;
    }
    claims
}

fn refused(member: &str, value: Value) -> IdTokenError {
    let shown = value.to_string();
    match check(&with(member, value)) {
        Err(error) => error,
        Ok(_) => panic!("{member} = {shown} was taken"),
    }
}

#[test]
fn a_true_token_proves_its_subject_with_every_kind_of_key() {
    for key in [
        TestKey::rs256("k"),
        TestKey::es256("k"),
        TestKey::ed25519("k"),
    ] {
        let proven = verify(&key.token(&claims()), &key.set(), &expectation(&nonce())).unwrap();
        assert_eq!(
            (proven.issuer(), proven.audience(), proven.subject()),
            (ISSUER, "client-1", "24400320")
        );
        let email = proven.email().unwrap();
        assert_eq!(
            (email.address.as_str(), email.verified),
            ("anna@mail.example", true)
        );
        assert_eq!(proven.issued_at_unix_seconds(), NOW - 5);
        assert_eq!(proven.expires_at_unix_seconds(), NOW + 300);
        assert_eq!(proven.authenticated_at_unix_seconds(), Some(NOW - 20));
        assert_eq!(proven.acr(), Some("urn:mace:incommon:iap:silver"));
        assert!(!format!("{proven:?}").contains("24400320"));
    }
}

#[test]
fn an_issuer_that_differs_in_a_slash_case_or_scheme_is_another() {
    for issuer in [
        "https://login.example/",
        "https://Login.example",
        "http://login.example",
        "https://login.example:443",
        "https://login.example.evil.example",
        " https://login.example",
        "login.example",
        "",
    ] {
        assert_eq!(refused("iss", json!(issuer)), IdTokenError::WrongIssuer);
    }
    assert_eq!(refused("iss", json!(null)), IdTokenError::Claims);
    assert_eq!(refused("iss", json!([ISSUER])), IdTokenError::Claims);
}

#[test]
fn a_token_for_another_app_at_the_same_issuer_is_refused() {
    for audience in [
        json!("client-2"),
        json!(["client-2"]),
        json!([]),
        json!("client-1 "),
        json!("client-1,client-2"),
        json!(["client-1", "client-2"]),
        json!("our-api"),
        json!(["our-api"]),
        json!(vec!["client-1"; 9]),
    ] {
        assert_eq!(refused("aud", audience), IdTokenError::WrongAudience);
    }
    for malformed in [json!(null), json!(1), json!({"client-1": 1})] {
        assert_eq!(refused("aud", malformed), IdTokenError::Claims);
    }
}

#[test]
fn several_audiences_have_to_say_who_asked() {
    let mut claims = with("aud", json!(["client-1", "our-api"]));
    assert_eq!(check(&claims), Err(IdTokenError::WrongAuthorizedParty));
    claims["azp"] = json!("client-1");
    assert!(check(&claims).is_ok());
    for azp in ["client-2", "", "CLIENT-1"] {
        claims["azp"] = json!(azp);
        assert_eq!(check(&claims), Err(IdTokenError::WrongAuthorizedParty));
        assert_eq!(
            refused("azp", json!(azp)),
            IdTokenError::WrongAuthorizedParty
        );
    }
    assert!(check(&with("azp", json!("our-api"))).is_ok());
    assert!(check(&with("aud", json!(["client-1"]))).is_ok());
}

#[test]
fn a_token_of_another_sign_in_device_or_project_is_refused() {
    let other = |project: &str, device: u8, salt: u8| {
        let device = Thumbprint([device; 32]);
        let nonce = Nonce::for_device(project, &device, &NonceSalt::from_bytes([salt; 32]));
        json!(nonce.as_str())
    };
    assert!(check(&with("nonce", other("app.example", 7, 9))).is_ok());
    for nonce in [
        other("app.example", 8, 9),
        other("app.example", 7, 8),
        other("other.example", 7, 9),
        json!(""),
        json!(null),
    ] {
        assert_eq!(refused("nonce", nonce), IdTokenError::WrongNonce);
    }
    assert_eq!(
        refused("nonce", json!([nonce().as_str()])),
        IdTokenError::Claims
    );
}

#[test]
fn times_hold_to_the_second_with_one_minute_for_clocks() {
    let skew = MAX_CLOCK_SKEW_SECONDS;
    for (member, good, bad, error) in [
        ("exp", NOW - skew + 1, NOW - skew, IdTokenError::Expired),
        ("iat", NOW + skew, NOW + skew + 1, IdTokenError::NotYetValid),
        ("nbf", NOW + skew, NOW + skew + 1, IdTokenError::NotYetValid),
        (
            "iat",
            NOW - 600 - skew,
            NOW - 601 - skew,
            IdTokenError::TooOld,
        ),
        (
            "auth_time",
            NOW + skew,
            NOW + skew + 1,
            IdTokenError::NotYetValid,
        ),
    ] {
        let mut claims = with(member, json!(good));
        if member == "exp" {
            claims["iat"] = json!(NOW - 100);
        }
        assert!(check(&claims).is_ok(), "{member} {good}");
        claims[member] = json!(bad);
        assert_eq!(check(&claims), Err(error), "{member} {bad}");
    }
    assert_eq!(refused("exp", json!(NOW - 5)), IdTokenError::Expired);
    assert!(check(&with("exp", json!(u64::MAX))).is_ok());
    for member in ["exp", "iat"] {
        for value in [
            json!(null),
            json!("1800000000"),
            json!(-1),
            json!(1.8e9),
            json!([NOW]),
        ] {
            assert_eq!(refused(member, value), IdTokenError::Claims, "{member}");
        }
    }
}

#[test]
fn an_old_sign_in_at_the_issuer_is_refused_where_a_fresh_one_was_asked_for() {
    let key = TestKey::es256("k");
    let check = |claims: &Value| {
        let nonce = nonce();
        let mut expect = expectation(&nonce);
        expect.max_authentication_age_seconds = Some(100);
        verify(&key.token(claims), &key.set(), &expect).map(|_| ())
    };
    assert_eq!(check(&claims()), Ok(()));
    assert_eq!(check(&with("auth_time", json!(NOW - 160))), Ok(()));
    for old in [json!(NOW - 161), json!(0), json!(null)] {
        assert_eq!(
            check(&with("auth_time", old)),
            Err(IdTokenError::AuthenticationTooOld)
        );
    }
}

#[test]
fn a_level_of_assurance_that_was_asked_for_has_to_be_there() {
    let key = TestKey::es256("k");
    let check = |claims: &Value| {
        let nonce = nonce();
        let mut expect = expectation(&nonce);
        expect.acr_values = &["gold", "urn:mace:incommon:iap:silver"];
        verify(&key.token(claims), &key.set(), &expect).map(|_| ())
    };
    assert_eq!(check(&claims()), Ok(()));
    for acr in [json!("bronze"), json!(""), json!("gold "), json!(null)] {
        assert_eq!(check(&with("acr", acr)), Err(IdTokenError::WrongAssurance));
    }
}

#[test]
fn a_subject_is_one_to_255_visible_characters() {
    assert!(check(&with("sub", json!("s".repeat(255)))).is_ok());
    for bad in [
        json!(""),
        json!("s".repeat(256)),
        json!("a b"),
        json!("a\u{0}"),
        json!("\u{e4}"),
        json!(24400320),
        json!(null),
    ] {
        assert_eq!(refused("sub", bad), IdTokenError::Claims);
    }
}

#[test]
fn an_unverified_address_stays_unverified() {
    for (value, verified) in [
        (json!(true), true),
        (json!("true"), true),
        (json!(false), false),
        (json!("false"), false),
        (json!(null), false),
    ] {
        let proven = check(&with("email_verified", value)).unwrap();
        assert_eq!(proven.email().unwrap().verified, verified);
    }
    assert_eq!(check(&with("email", json!(null))).unwrap().email(), None);
}

#[test]
fn claims_that_occur_twice_or_nest_without_end_are_refused() {
    let key = TestKey::es256("k");
    let header = json!({"alg": "ES256", "kid": "k"});
    let text = claims().to_string();
    let body = text.strip_prefix('{').unwrap();
    for bad in [
        format!("{{\"sub\":\"victim\",{body}"),
        format!("{{\"s\\u0075b\":\"victim\",{body}"),
        format!("{{\"x\":{{\"y\":1,\"y\":2}},{body}"),
        format!("{{\"x\":{}{},{body}", "[".repeat(1_000), "]".repeat(1_000)),
        format!("[{text}]"),
        format!("{text}{text}"),
        "null".to_owned(),
    ] {
        let token = token_of_text(&key, &header, &bad);
        let result = verify(&token, &key.set(), &expectation(&nonce()));
        assert_eq!(result, Err(IdTokenError::Claims), "{bad}");
    }
    assert!(
        verify(
            &token_of_text(&key, &header, &text),
            &key.set(),
            &expectation(&nonce())
        )
        .is_ok()
    );
}

#[test]
fn nothing_is_said_of_claims_that_are_not_signed() {
    // Every claim is wrong, and so is the signature: only the latter is reported.
    let token = TestKey::es256_other("k").token(&json!({"iss": "x"}));
    let result = verify(&token, &TestKey::es256("k").set(), &expectation(&nonce()));
    assert_eq!(result, Err(IdTokenError::Signature(JwsError::BadSignature)));
}

/// The claims of the example in OpenID Connect Core section 2.
#[test]
fn the_example_of_openid_connect_core_section_2() {
    let example = json!({
        "iss": "https://server.example.com", "sub": "24400320", "aud": "s6BhdRkqt3",
        "nonce": "n-0S6_WzA2Mj", "exp": 1_311_281_970, "iat": 1_311_280_970,
        "auth_time": 1_311_280_969, "acr": "urn:mace:incommon:iap:silver",
    });
    let key = TestKey::rs256("1e9gdk7");
    let expect = IdTokenExpectation {
        issuer: "https://server.example.com",
        client_id: "s6BhdRkqt3",
        trusted_audiences: &[],
        algorithms: &[Algorithm::Rs256],
        nonce: None,
        max_token_age_seconds: 600,
        max_authentication_age_seconds: Some(60),
        acr_values: &["urn:mace:incommon:iap:silver"],
        email_trust: EmailTrust::Claimed,
        now_unix_seconds: 1_311_280_971,
    };
    let proven = verify(&key.token(&example), &key.set(), &expect).unwrap();
    assert_eq!((proven.subject(), proven.email()), ("24400320", None));
}

proptest! {
    #[test]
    fn a_token_that_is_taken_said_what_was_expected(
        iss in prop_oneof![Just(ISSUER.to_owned()), "[a-z:/.]{0,24}"],
        aud in prop_oneof![Just("client-1".to_owned()), "[a-z0-9-]{0,10}"],
        iat in NOW - 1_000..NOW + 200,
        lifetime in 0_u64..2_000,
        azp in proptest::option::of(prop_oneof![Just("client-1".to_owned()), "[a-z-]{0,9}"]),
    ) {
        let mut claims = claims();
        claims["iss"] = json!(iss);
        claims["aud"] = json!(aud);
        claims["iat"] = json!(iat);
        claims["exp"] = json!(iat + lifetime);
        if let Some(azp) = &azp {
            claims["azp"] = json!(azp);
        }
        let good = iss == ISSUER
            && aud == "client-1"
            && azp.is_none_or(|azp| azp == "client-1" || azp == "our-api")
            && (NOW - 660..=NOW + 60).contains(&iat)
            && lifetime > 0
            && iat + lifetime > NOW - 60;
        prop_assert_eq!(check(&claims).is_ok(), good);
    }
}
