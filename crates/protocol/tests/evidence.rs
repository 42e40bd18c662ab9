//! Evidence: what a holder refuses before it even looks at its own lists.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use keyfold_crypto::hash::sha256;
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_crypto::testing::SeededRng;
use keyfold_protocol::evidence::{
    Addressee, Evidence, EvidenceError, Item, ShownIdToken, ShownNewPasskey,
};
use keyfold_protocol::ids::{Digest32, InstanceId, ProjectId, RealmId, RequestId};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::sign_in::PasskeyRegistration;
use keyfold_protocol::signed_request::{
    Components, DeviceHeaders, Profile, SignatureError, SignatureParams, UnsignedRequest,
    content_digest,
};

const NOW: u64 = 1_800_000_000;
const JWT: &str = "header.claims.signature";

fn realm() -> RealmId {
    RealmId::from_bytes([1; 32])
}

fn instance() -> InstanceId {
    InstanceId::from_bytes([2; 16])
}

fn request(session: Option<&str>) -> Item {
    let key = DeviceSigningKey::generate_p256(&mut SeededRng::new(1));
    let operation = if session.is_some() {
        Operation::Renew
    } else {
        Operation::SignInFinish
    };
    let components = Components {
        method: "POST".into(),
        authority: instance().to_string(),
        path: "/v1/session/renew".into(),
        query: "?".into(),
        content_digest: content_digest(b"{}"),
        device: Some(DeviceHeaders {
            realm: realm().to_string(),
            project: "app.example".into(),
            intent: Intent::Plain {
                operation,
                id: RequestId::from_bytes([3; 16]),
            }
            .to_field(),
            session: session.map(|jwt| Digest32::from_bytes(sha256(jwt.as_bytes())).to_string()),
        }),
    };
    let profile = if session.is_some() {
        Profile::Request
    } else {
        Profile::SignIn
    };
    let params = SignatureParams {
        created: NOW,
        lifetime_seconds: 60,
        nonce: "0123456789abcdef",
        key_id: &key.public_jwk().thumbprint().to_string(),
    };
    let unsigned = UnsignedRequest::new(profile, components, &params).unwrap();
    let signature = key.sign(unsigned.signature_base());
    Item::Request {
        signed: unsigned.with_signature(&signature),
        jwk: key.public_jwk(),
    }
}

fn session(jwt: &str) -> Item {
    Item::Session {
        attestation: jwt.into(),
    }
}

fn addressee() -> Addressee<'static> {
    Addressee {
        realm: realm(),
        instance: instance(),
        project: None,
    }
}

fn verdict(items: Vec<Item>) -> Result<(), EvidenceError> {
    Evidence::new(items)
        .verify(Profile::Request, &addressee(), NOW)
        .map(|_| ())
}

#[test]
fn a_request_with_the_attestation_it_signed_is_named() {
    let evidence = Evidence::new(vec![request(Some(JWT)), session(JWT)]);
    let json = serde_json::to_string(&evidence).unwrap();
    let again: Evidence = serde_json::from_str(&json).unwrap();
    let verified = again.verify(Profile::Request, &addressee(), NOW).unwrap();
    assert_eq!(verified.attestation.as_deref(), Some(JWT));
    assert_eq!(verified.request.intent.operation(), Operation::Renew);
}

#[test]
fn an_attestation_that_the_device_did_not_sign_is_refused() {
    let other = "header.other.signature";
    assert_eq!(
        verdict(vec![request(Some(JWT)), session(other)]),
        Err(EvidenceError::SessionMismatch)
    );
    assert_eq!(
        verdict(vec![request(Some(JWT))]),
        Err(EvidenceError::SessionMismatch)
    );
}

#[test]
fn a_request_to_another_instance_realm_or_project_is_refused() {
    let evidence = Evidence::new(vec![request(Some(JWT)), session(JWT)]);
    let other_project: ProjectId = "other.example".parse().unwrap();
    for addressee in [
        Addressee {
            instance: InstanceId::from_bytes([9; 16]),
            ..addressee()
        },
        Addressee {
            realm: RealmId::from_bytes([9; 32]),
            ..addressee()
        },
        Addressee {
            project: Some(&other_project),
            ..addressee()
        },
    ] {
        let verdict = evidence
            .verify(Profile::Request, &addressee, NOW)
            .map(|_| ());
        assert_eq!(verdict, Err(EvidenceError::WrongAddressee));
    }
}

#[test]
fn two_requests_or_two_attestations_are_no_evidence_for_either() {
    assert_eq!(
        verdict(vec![request(Some(JWT)), request(Some(JWT)), session(JWT)]),
        Err(EvidenceError::Malformed)
    );
    assert_eq!(
        verdict(vec![request(Some(JWT)), session(JWT), session(JWT)]),
        Err(EvidenceError::Malformed)
    );
    assert_eq!(verdict(vec![session(JWT)]), Err(EvidenceError::NoRequest));
    assert_eq!(verdict(vec![]), Err(EvidenceError::NoRequest));
}

#[test]
fn a_sign_in_is_no_evidence_for_a_session_operation() {
    let verdict = verdict(vec![request(None), session(JWT)]);
    assert_eq!(
        verdict,
        Err(EvidenceError::Signature(SignatureError::WrongComponents))
    );
}

#[test]
fn evidence_of_a_later_release_neither_helps_nor_hurts() {
    let json = r#"{"type":"passkey-assertion","anything":[1,2,3]}"#;
    let unknown: Item = serde_json::from_str(json).unwrap();
    assert_eq!(
        verdict(vec![request(Some(JWT)), session(JWT), unknown.clone()]),
        Ok(())
    );
    assert_eq!(verdict(vec![unknown]), Err(EvidenceError::NoRequest));
    let too_many = vec![serde_json::from_str::<Item>(json).unwrap(); 17];
    assert_eq!(verdict(too_many), Err(EvidenceError::Malformed));
}

#[test]
fn a_list_of_another_version_is_refused() {
    let mut evidence = Evidence::new(vec![request(Some(JWT)), session(JWT)]);
    evidence.version = 2;
    let verdict = evidence
        .verify(Profile::Request, &addressee(), NOW)
        .map(|_| ());
    assert_eq!(verdict, Err(EvidenceError::Malformed));
}

#[test]
fn evidence_older_than_its_signature_is_refused() {
    let evidence = Evidence::new(vec![request(Some(JWT)), session(JWT)]);
    let verdict = evidence
        .verify(Profile::Request, &addressee(), NOW + 60)
        .map(|_| ());
    assert_eq!(
        verdict,
        Err(EvidenceError::Signature(SignatureError::Expired))
    );
}

fn new_passkey() -> Item {
    Item::NewPasskey(ShownNewPasskey {
        identity: Digest32::from_bytes([5; 32]),
        registration: PasskeyRegistration {
            id: vec![1; 16],
            client_data_json: b"{}".to_vec(),
            attestation_object: vec![0xa0],
        },
        relying_party: "app.example".to_owned(),
        issued: NOW,
        random: [7; 32],
    })
}

fn id_token(token: &str) -> Item {
    Item::IdToken(ShownIdToken {
        identity: Digest32::from_bytes([5; 32]),
        token: token.to_owned().into(),
        issuer: "https://issuer.example".to_owned(),
        client_id: "client".to_owned(),
        salt: [8; 32],
    })
}

#[test]
fn what_vouches_for_a_device_travels_beside_its_request() {
    let items = vec![
        request(Some(JWT)),
        session(JWT),
        new_passkey(),
        id_token("a.b.c"),
    ];
    let json = serde_json::to_string(&Evidence::new(items)).unwrap();
    let again: Evidence = serde_json::from_str(&json).unwrap();
    let verified = again.verify(Profile::Request, &addressee(), NOW).unwrap();
    let shown = verified.shown;
    assert_eq!(shown.new_passkey.unwrap().relying_party, "app.example");
    let token = shown.id_token.unwrap();
    assert_eq!((&*token.token, token.salt), ("a.b.c", [8; 32]));
    assert!(shown.passkey.is_none());
    assert!(
        !format!("{again:?}").contains("a.b.c"),
        "a token that is printed can be used"
    );
}

#[test]
fn of_two_tokens_or_passkeys_none_is_chosen() {
    for (one, other) in [
        (id_token("a.b.c"), id_token("d.e.f")),
        (new_passkey(), new_passkey()),
    ] {
        let items = vec![request(Some(JWT)), session(JWT), one, other];
        assert_eq!(verdict(items), Err(EvidenceError::Malformed));
    }
}
