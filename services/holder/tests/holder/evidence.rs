//! Evidence that was altered, mixed, forged or kept too long proves nothing.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{Evidence, Item};
use keyfold_protocol::holder_api::{DeviceAck, InSession, Released, path};
use keyfold_protocol::ids::RecordId;
use keyfold_protocol::intent::Operation;
use keyfold_protocol::session::AttestationSigner;
use keyfold_protocol::signed_request::SignedComponents;

use crate::world::{Ask, Person, World, code};

#[tokio::test]
async fn every_altered_component_is_refused() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let ask = world.use_of(&person, &key);
    let other_key = world
        .use_of(&person, &world.new_key(&person))
        .intent
        .to_field();
    type Change = Box<dyn Fn(&mut SignedComponents)>;
    let changes: Vec<(&str, Change)> = vec![
        (
            "method",
            Box::new(|s| s.components.method = "PUT".to_owned()),
        ),
        (
            "authority",
            Box::new(|s| s.components.authority = "0".repeat(32)),
        ),
        ("path", Box::new(|s| s.components.path.push('x'))),
        ("query", Box::new(|s| s.components.query.push_str("a=1"))),
        (
            "digest",
            Box::new(|s| s.components.content_digest = "sha-256=:AA==:".to_owned()),
        ),
        (
            "realm",
            Box::new(|s| s.components.device.as_mut().unwrap().realm = "1".repeat(64)),
        ),
        (
            "project",
            Box::new(|s| s.components.device.as_mut().unwrap().project = "b.example".to_owned()),
        ),
        (
            "intent",
            Box::new(move |s| {
                s.components
                    .device
                    .as_mut()
                    .unwrap()
                    .intent
                    .clone_from(&other_key);
            }),
        ),
        (
            "session",
            Box::new(|s| s.components.device.as_mut().unwrap().session = Some("1".repeat(64))),
        ),
        (
            "no session",
            Box::new(|s| s.components.device.as_mut().unwrap().session = None),
        ),
        ("no headers", Box::new(|s| s.components.device = None)),
        (
            "created",
            Box::new(|s| s.signature_input = s.signature_input.replace(";created=1", ";created=2")),
        ),
        (
            "nonce",
            Box::new(|s| {
                s.signature_input = s.signature_input.replace("nonce=\"", "nonce=\"x");
            }),
        ),
        (
            "tag",
            Box::new(|s| {
                s.signature_input = s.signature_input.replace("tag=\"keyfold", "tag=\"other")
            }),
        ),
        (
            "coverage",
            Box::new(|s| s.signature_input = s.signature_input.replace("\"@path\" ", "")),
        ),
        (
            "label",
            Box::new(|s| s.signature_input = s.signature_input.replace("keyfold=(", "sig1=(")),
        ),
        (
            "signature",
            Box::new(|s| s.signature = s.signature.replacen(":", ":AAAA", 1)),
        ),
        ("no signature", Box::new(|s| s.signature.clear())),
    ];
    for (what, change) in changes {
        let mut items = person.items(&ask);
        if let Item::Request { signed, .. } = &mut items[0] {
            let before = signed.clone();
            change(signed);
            assert_ne!(*signed, before, "{what} was not altered");
        }
        let answer = world.release_evidence(&key, Evidence::new(items)).await;
        let refused = answer.expect_err(what);
        assert!((400..500).contains(&refused.status), "{what}: {refused:?}");
    }
    // The nonce was not spent by any of them.
    assert!(world.release(&person, &key, &ask).await.is_ok());
}

#[tokio::test]
async fn evidence_with_another_key_beside_the_signature_is_refused() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let mut items = person.items(&world.use_of(&person, &key));
    if let Item::Request { jwk, .. } = &mut items[0] {
        *jwk = Person::new("app.example").device.public_jwk();
    }
    let answer = world.release_evidence(&key, Evidence::new(items)).await;
    assert_eq!(code(answer), Code::SignatureInvalid);
}

#[tokio::test]
async fn unknown_evidence_never_widens_what_is_allowed() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let ask = world.use_of(&person, &key);
    let with = |item: &str, keep: usize| {
        let mut items: Vec<serde_json::Value> = person
            .items(&ask)
            .iter()
            .take(keep)
            .map(|item| serde_json::to_value(item).unwrap())
            .collect();
        items.push(serde_json::from_str(item).unwrap());
        serde_json::json!({
            "evidence": { "version": 1, "items": items },
            "generation": 1,
            "commitment": key.leaf().commitment,
            "record": RecordId::from_bytes([9; 32]),
        })
    };
    let later = r#"{"type":"of-a-later-release","proof":"…"}"#;
    let alone = world
        .call::<Released>(path::SHARE_RELEASE, &with(later, 0))
        .await;
    assert_eq!(code(alone), Code::EvidenceInvalid);
    let instead = world
        .call::<Released>(path::SHARE_RELEASE, &with(later, 1))
        .await;
    assert_eq!(code(instead), Code::SessionInvalid);
    let beside = world
        .call::<Released>(path::SHARE_RELEASE, &with(later, 2))
        .await;
    assert!(beside.is_ok());
}

#[tokio::test]
async fn two_requests_in_one_list_of_evidence_are_refused() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let mut items = person.items(&world.use_of(&person, &key));
    items.push(items[0].clone());
    let answer = world.release_evidence(&key, Evidence::new(items)).await;
    assert_eq!(code(answer), Code::EvidenceInvalid);
}

#[tokio::test]
async fn a_signature_that_expired_or_comes_from_the_future_is_refused() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let now = world.now();
    for (created, lifetime) in [(now - 60, 60), (now + 31, 60), (now, 61), (now - 300, 360)] {
        let ask = Ask {
            created,
            lifetime,
            ..world.use_of(&person, &key)
        };
        let answer = world.release(&person, &key, &ask).await;
        assert_eq!(code(answer), Code::SignatureExpired, "{created} {lifetime}");
    }
    let last_second = Ask {
        created: now - 59,
        ..world.use_of(&person, &key)
    };
    assert!(world.release(&person, &key, &last_second).await.is_ok());
}

#[tokio::test]
async fn an_attestation_one_second_too_old_releases_nothing() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let mut claims = world.claims(&person);
    claims.exp = claims.iat + 600;
    let attestation = Some(world.attest(&claims));
    world.advance(599);
    let in_time = Ask {
        attestation: attestation.clone(),
        ..world.use_of(&person, &key)
    };
    assert!(world.release(&person, &key, &in_time).await.is_ok());
    world.advance(1);
    let late = Ask {
        attestation,
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &key, &late).await),
        Code::SessionExpired
    );
}

#[tokio::test]
async fn an_attestation_that_ran_out_is_good_for_renewal_and_nothing_else() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let attestation = Some(world.attest(&world.claims(&person)));
    world.advance(3 * 86_400);
    // The instance's own registration ended too.
    world.register(&world.enclave).await.unwrap();
    let renew = Ask {
        attestation: attestation.clone(),
        ..world.plain(&person, Operation::Renew)
    };
    let evidence = person.evidence(&renew);
    let checked = world
        .call::<DeviceAck>(path::SESSION_CHECK, &InSession { evidence })
        .await;
    assert!(checked.is_ok());
    let late = Ask {
        attestation,
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &key, &late).await),
        Code::SessionExpired
    );
}

#[tokio::test]
async fn a_sign_in_too_long_ago_releases_nothing_however_often_it_was_renewed() {
    let world = World::with(|config| config.max_auth_age_seconds = 1_000).await;
    let (person, key) = world.person_with_key().await;
    let mut claims = world.claims(&person);
    for (age, released) in [(1_000, true), (1_001, false)] {
        claims.auth_time = world.now() - age;
        let attestation = Some(world.attest(&claims));
        let ask = Ask {
            attestation,
            ..world.use_of(&person, &key)
        };
        let answer = world.release(&person, &key, &ask).await;
        assert_eq!(answer.is_ok(), released, "{age}");
        if let Err(refused) = answer {
            assert_eq!(refused.code, Code::SessionExpired);
        }
    }
}

#[tokio::test]
async fn an_attestation_under_a_key_that_no_enclave_stated_releases_nothing() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let forger = AttestationSigner::generate_es256().unwrap();
    let forged = Some(forger.sign(&world.claims(&person)).unwrap());
    let ask = Ask {
        attestation: forged,
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &key, &ask).await),
        Code::SessionInvalid
    );
}

#[tokio::test]
async fn an_attestation_that_is_not_the_signed_one_releases_nothing() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let mut items = person.items(&world.use_of(&person, &key));
    items[1] = Item::Session {
        attestation: world.attest(&world.claims(&person)),
    };
    let answer = world.release_evidence(&key, Evidence::new(items)).await;
    assert_eq!(code(answer), Code::SessionInvalid);
}

#[tokio::test]
async fn the_next_good_request_works_after_every_kind_of_bad_one() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    for version in [0, 2] {
        let mut evidence = person.evidence(&world.use_of(&person, &key));
        evidence.version = version;
        assert_eq!(
            code(world.release_evidence(&key, evidence).await),
            Code::EvidenceInvalid
        );
    }
    let long = Ask {
        nonce: "n".repeat(65),
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &key, &long).await),
        Code::SignatureInvalid
    );
    let short = Ask {
        nonce: "n".repeat(15),
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &key, &short).await),
        Code::SignatureInvalid
    );
    assert!(
        world
            .release(&person, &key, &world.use_of(&person, &key))
            .await
            .is_ok()
    );
}
