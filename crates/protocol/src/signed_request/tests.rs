//! Signed requests: agreement with an independent implementation, and what attackers change.

use keyfold_crypto::Secret;
use keyfold_crypto::ed25519::SigningKey;
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_crypto::testing::SeededRng as TestRng;
use proptest::prelude::*;

use super::*;
use crate::ids::RequestId;
use crate::intent::Operation;

const NOW: u64 = 1_800_000_000;

fn device() -> DeviceSigningKey {
    DeviceSigningKey::generate_p256(&mut TestRng::new(1))
}

fn components(session: bool) -> Components {
    let operation = if session {
        Operation::Renew
    } else {
        Operation::SignInStart
    };
    Components {
        method: "POST".into(),
        authority: "00112233445566778899aabbccddeeff".into(),
        path: "/v1/session/renew".into(),
        query: "?".into(),
        content_digest: content_digest(b"{}"),
        device: Some(DeviceHeaders {
            realm: RealmId::from_bytes([1; 32]).to_string(),
            project: "app.example".into(),
            intent: Intent::Plain {
                operation,
                id: RequestId::from_bytes([2; 16]),
            }
            .to_field(),
            session: session.then(|| Digest32::from_bytes([3; 32]).to_string()),
        }),
    }
}

fn sign_with(
    key: &DeviceSigningKey,
    profile: Profile,
    components: Components,
    created: u64,
) -> SignedComponents {
    let params = SignatureParams {
        created,
        lifetime_seconds: 60,
        nonce: "0123456789abcdef",
        key_id: &key.public_jwk().thumbprint().to_string(),
    };
    let unsigned = UnsignedRequest::new(profile, components, &params).unwrap();
    let signature = key.sign(unsigned.signature_base());
    unsigned.with_signature(&signature)
}

fn signed() -> SignedComponents {
    sign_with(&device(), Profile::Request, components(true), NOW)
}

fn verdict(signed: &SignedComponents) -> Result<VerifiedRequest, SignatureError> {
    verify_device(Profile::Request, signed, &device().public_jwk(), NOW)
}

#[test]
fn a_request_of_each_kind_of_key_verifies() {
    let mut rng = TestRng::new(7);
    for key in [
        DeviceSigningKey::generate_p256(&mut rng),
        DeviceSigningKey::generate_ed25519(&mut rng),
    ] {
        let request = sign_with(&key, Profile::Request, components(true), NOW);
        let verified = verify_device(Profile::Request, &request, &key.public_jwk(), NOW).unwrap();
        assert_eq!(verified.device, key.public_jwk().thumbprint());
        assert_eq!(verified.intent.operation(), Operation::Renew);
        assert_eq!(verified.expires, NOW + 60);
    }
}

#[test]
fn every_component_is_covered() {
    let good = signed();
    let mutations: [fn(&mut SignedComponents); 10] = [
        |s| s.components.method = "PUT".into(),
        |s| s.components.authority = "10112233445566778899aabbccddeeff".into(),
        |s| s.components.path = "/v1/session/sign-out".into(),
        |s| s.components.query = "?a=1".into(),
        |s| s.components.content_digest = content_digest(b"{ }"),
        |s| headers(s).realm = RealmId::from_bytes([9; 32]).to_string(),
        |s| headers(s).project = "other.example".into(),
        |s| headers(s).intent = headers(s).intent.replace("renew", "sign-out"),
        |s| headers(s).session = Some(Digest32::from_bytes([4; 32]).to_string()),
        |s| {
            s.signature_input = s
                .signature_input
                .replace("0123456789abcdef", "0123456789abcdeg")
        },
    ];
    for (at, mutate) in mutations.iter().enumerate() {
        let mut bad = good.clone();
        mutate(&mut bad);
        assert_eq!(
            verdict(&bad).unwrap_err(),
            SignatureError::Invalid,
            "mutation {at}"
        );
    }
    assert!(verdict(&good).is_ok());
}

fn headers(signed: &mut SignedComponents) -> &mut DeviceHeaders {
    signed.components.device.as_mut().unwrap()
}

#[test]
fn a_signature_of_another_purpose_is_refused() {
    let sign_in = sign_with(&device(), Profile::SignIn, components(false), NOW);
    let verdict = |profile, signed: &SignedComponents| {
        verify_device(profile, signed, &device().public_jwk(), NOW).map(|_| ())
    };
    assert_eq!(verdict(Profile::SignIn, &sign_in), Ok(()));
    assert_eq!(
        verdict(Profile::Request, &sign_in),
        Err(SignatureError::WrongComponents)
    );
    assert_eq!(
        verdict(Profile::SignIn, &signed()),
        Err(SignatureError::WrongComponents)
    );
    // The right components under another tag.
    let mut retagged = signed();
    retagged.signature_input = retagged
        .signature_input
        .replace("tag=\"keyfold\"", "tag=\"keyfold-sign-in\"");
    assert_eq!(
        verdict(Profile::Request, &retagged),
        Err(SignatureError::WrongTag)
    );
}

#[test]
fn an_operation_that_needs_a_session_cannot_come_without_one() {
    let mut sessionless = components(false);
    if let Some(device) = &mut sessionless.device {
        device.intent = Intent::Plain {
            operation: Operation::Renew,
            id: RequestId::from_bytes([2; 16]),
        }
        .to_field();
    }
    let request = sign_with(&device(), Profile::SignIn, sessionless, NOW);
    let verdict = verify_device(Profile::SignIn, &request, &device().public_jwk(), NOW);
    assert_eq!(verdict.unwrap_err(), SignatureError::WrongComponents);
}

#[test]
fn time_is_bounded_on_both_sides() {
    let at = |created| {
        let request = sign_with(&device(), Profile::Request, components(true), created);
        verdict(&request).map(|_| ())
    };
    assert_eq!(at(NOW - 59), Ok(()));
    assert_eq!(
        at(NOW - 60),
        Err(SignatureError::Expired),
        "the very second it expires"
    );
    assert_eq!(at(NOW - 300), Err(SignatureError::Expired));
    assert_eq!(at(NOW + 30), Ok(()));
    assert_eq!(at(NOW + 31), Err(SignatureError::Expired));
    let params = SignatureParams {
        created: NOW,
        lifetime_seconds: 61,
        nonce: "0123456789abcdef",
        key_id: &device().public_jwk().thumbprint().to_string(),
    };
    let unsigned = UnsignedRequest::new(Profile::Request, components(true), &params).unwrap();
    let signature = device().sign(unsigned.signature_base());
    assert_eq!(
        verdict(&unsigned.with_signature(&signature)).unwrap_err(),
        SignatureError::Expired
    );
}

#[test]
fn another_key_is_refused_before_its_signature_counts() {
    let other = DeviceSigningKey::generate_p256(&mut TestRng::new(2)).public_jwk();
    let verdict = verify_device(Profile::Request, &signed(), &other, NOW);
    assert_eq!(verdict.unwrap_err(), SignatureError::WrongKey);
}

#[test]
fn a_line_feed_cannot_smuggle_in_another_component() {
    let mut evil = components(true);
    evil.query = "?a\n\"content-digest\": sha-256=:AAAA:".into();
    let params = SignatureParams {
        created: NOW,
        lifetime_seconds: 60,
        nonce: "0123456789abcdef",
        key_id: "k",
    };
    let made = UnsignedRequest::new(Profile::Request, evil, &params);
    assert_eq!(made.unwrap_err(), SignatureError::Malformed);
}

#[test]
fn other_spellings_of_the_parameters_are_refused() {
    let good = signed();
    for (from, to) in [
        (";created", "; created"),
        ("keyfold=(", "keyfold=( "),
        (";tag=\"keyfold\"", ""),
        (";tag=\"keyfold\"", ";tag=\"keyfold\";alg=\"none\""),
        (";tag=\"keyfold\"", ";tag=\"keyfold\";tag=\"keyfold\""),
        (";tag=\"keyfold\"", ";tag=\"keyfold\", other=()"),
        ("keyfold=(", "sig1=("),
    ] {
        let mut bad = good.clone();
        bad.signature_input = good.signature_input.replace(from, to);
        assert_ne!(bad.signature_input, good.signature_input);
        assert_eq!(
            verdict(&bad).unwrap_err(),
            SignatureError::Malformed,
            "{to}"
        );
    }
    for field in [
        "",
        "keyfold",
        "keyfold=:AAAA:",
        "keyfold=\"AAAA\"",
        "other=:AAAA:",
    ] {
        let mut bad = good.clone();
        bad.signature = field.into();
        assert_eq!(
            verdict(&bad).unwrap_err(),
            SignatureError::Malformed,
            "{field}"
        );
    }
}

#[test]
fn reordered_or_missing_components_are_refused() {
    let good = signed();
    for (from, to) in [
        ("\"@method\" \"@authority\"", "\"@authority\" \"@method\""),
        ("\"@path\" ", ""),
        ("\"@path\"", "\"@path\";sf"),
        (" \"keyfold-session\"", " \"keyfold-session\" \"x-extra\""),
    ] {
        let mut bad = good.clone();
        bad.signature_input = good.signature_input.replace(from, to);
        assert_ne!(bad.signature_input, good.signature_input);
        assert_eq!(
            verdict(&bad).unwrap_err(),
            SignatureError::WrongComponents,
            "{to}"
        );
    }
}

#[test]
fn the_body_must_have_the_signed_digest() {
    let request = signed();
    assert_eq!(check_body(&request.components, b"{}"), Ok(()));
    assert_eq!(
        check_body(&request.components, b"{ }"),
        Err(SignatureError::DigestMismatch)
    );
}

#[test]
fn an_instance_signs_without_device_headers() {
    let key = SigningKey::from_secret(&Secret::from_array([5; 32]));
    let bare = Components {
        device: None,
        ..components(true)
    };
    let params = SignatureParams {
        created: NOW,
        lifetime_seconds: 60,
        nonce: "0123456789abcdef",
        key_id: "instance",
    };
    let unsigned = UnsignedRequest::new(Profile::Instance, bare, &params).unwrap();
    let signature = key.sign(unsigned.signature_base());
    let request = unsigned.with_signature(&signature);
    let check = |request: &SignedComponents| {
        verify_instance(request, "instance", &key.verifying_key(), NOW)
    };
    assert_eq!(check(&request), Ok(()));
    let mut with_headers = request.clone();
    with_headers.components.device = components(true).device;
    assert_eq!(check(&with_headers), Err(SignatureError::Malformed));
    assert_eq!(
        verify_instance(&request, "another", &key.verifying_key(), NOW),
        Err(SignatureError::WrongKey)
    );
}

/// RFC 9421 section B.2.6: the base of our builder, fed with the RFC's values where our profile
/// has the same components, is checked against `httpsig`, an implementation we did not write.
#[test]
fn an_independent_implementation_builds_the_same_base() {
    use httpsig::prelude::message_component::HttpMessageComponent;
    use httpsig::prelude::{HttpSignatureBase, HttpSignatureParams};

    let request = signed();
    let text = request.signature_input.strip_prefix("keyfold=").unwrap();
    let params = HttpSignatureParams::try_from(text).unwrap();
    let c = &request.components;
    let d = c.device.as_ref().unwrap();
    let lines = [
        ("@method", c.method.as_str()),
        ("@authority", &c.authority),
        ("@path", &c.path),
        ("@query", &c.query),
        ("content-digest", &c.content_digest),
        ("keyfold-realm", &d.realm),
        ("keyfold-project", &d.project),
        ("keyfold-intent", &d.intent),
        ("keyfold-session", d.session.as_deref().unwrap()),
    ]
    .map(|(name, value)| {
        HttpMessageComponent::try_from(format!("\"{name}\": {value}").as_str()).unwrap()
    });
    let theirs = HttpSignatureBase::try_new(lines.as_ref(), &params)
        .unwrap()
        .to_string();
    let ours = signature_base(Profile::Request, c, text).unwrap();
    // It writes the parameters in an order of its own; every other line is the same.
    let without_params = |base: &str| base.rsplit_once('\n').map(|(head, _)| head.to_owned());
    assert_eq!(without_params(&theirs), without_params(&ours));
}

proptest! {
    #[test]
    fn no_input_panics_or_passes(input in "\\PC{0,300}", signature in "\\PC{0,120}") {
        let mut bad = signed();
        bad.signature_input = input;
        prop_assert!(verdict(&bad).is_err());
        let mut bad = signed();
        bad.signature = signature;
        prop_assert!(verdict(&bad).is_err());
    }
}
