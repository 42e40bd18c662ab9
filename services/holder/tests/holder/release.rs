//! Nothing leaves the holder but for the right device, session, key, realm, instance and moment.

use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{Evidence, Item};
use keyfold_protocol::holder_api::{Released, ShareRelease, path};
use keyfold_protocol::ids::{InstanceId, RealmId, RecordId};
use keyfold_protocol::intent::Operation;
use keyfold_protocol::session::AttestationSigner;
use keyfold_protocol::signed_request::SignedComponents;

use crate::world::{Ask, Enclave, Person, World, code, rng};

#[tokio::test]
async fn a_share_comes_out_as_it_went_in_sealed_to_the_instance_that_asked() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let ask = world.use_of(&person, &key);
    let released = world.release(&person, &ask).await.unwrap();
    let digest = ask.intent.key_use().unwrap().digest;
    let (context, request) = (&key.leaf().context, ask.intent.request_id());
    let share = world
        .enclave
        .open(context, request, digest, &released.share);
    share.verify(context, &key.leaf().commitment).unwrap();
    assert!(released.entry.index < released.entry.size);
    assert_eq!(released.anchor, None);
}

#[tokio::test]
async fn ed25519_devices_are_as_good() {
    let world = World::new().await;
    let mut person = Person::new("app.example");
    person.device = DeviceSigningKey::generate_ed25519(&mut rng());
    world.enrol(&person).await.unwrap();
    let key = world.new_key(&person);
    world.store(&person, &key).await.unwrap();
    assert!(
        world
            .release(&person, &world.use_of(&person, &key))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_request_to_another_realm_releases_nothing() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let ask = Ask {
        realm: RealmId::from_bytes([1; 32]),
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &ask).await),
        Code::EvidenceInvalid
    );
}

#[tokio::test]
async fn an_attestation_of_another_realm_releases_nothing() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let mut claims = world.claims(&person);
    claims.iss = RealmId::from_bytes([1; 32]);
    let attestation = Some(world.attest(&claims));
    let ask = Ask {
        attestation,
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &ask).await),
        Code::SessionInvalid
    );
}

#[tokio::test]
async fn a_request_to_another_instance_releases_nothing() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let foreign = Ask {
        instance: InstanceId::from_bytes([1; 16]),
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &foreign).await),
        Code::EvidenceInvalid
    );

    // A second genuine instance shows what the first was sent.
    let second = Enclave::new(Some(world.realm_id()));
    world.register(&second).await.unwrap();
    let evidence = person.evidence(&world.use_of(&person, &key));
    let message = ShareRelease {
        evidence,
        generation: 1,
        record: RecordId::from_bytes([9; 32]),
    };
    let answer = world
        .call_as::<Released>(&second, path::SHARE_RELEASE, &message)
        .await;
    assert_eq!(code(answer), Code::EvidenceInvalid);
}

#[tokio::test]
async fn an_attestation_of_app_a_releases_nothing_for_app_b() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let ask = Ask {
        project: "other.example".parse().unwrap(),
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &ask).await),
        Code::SessionInvalid
    );
}

#[tokio::test]
async fn a_device_that_is_on_no_list_releases_nothing() {
    let world = World::new().await;
    let (owner, key) = world.person_with_key().await;
    // Everything is genuine: an enclave attested this device for this account.
    let stranger = Person::of(owner.owner.clone());
    let ask = world.use_of(&stranger, &key);
    assert_eq!(
        code(world.release(&stranger, &ask).await),
        Code::DeviceUnknown
    );
}

#[tokio::test]
async fn an_attestation_of_another_device_releases_nothing() {
    let world = World::new().await;
    let (owner, key) = world.person_with_key().await;
    let stranger = Person::of(owner.owner.clone());
    let stolen = Some(world.attest(&world.claims(&owner)));
    let ask = Ask {
        attestation: stolen,
        ..world.use_of(&stranger, &key)
    };
    assert_eq!(
        code(world.release(&stranger, &ask).await),
        Code::SessionInvalid
    );
}

#[tokio::test]
async fn a_pending_device_releases_nothing_until_its_second() {
    let world = World::new().await;
    let (owner, key) = world.person_with_key().await;
    let second = Person::of(owner.owner.clone());
    world.enrol(&second).await.unwrap();
    world.advance_far(86_399).await;
    let early = world.use_of(&second, &key);
    assert_eq!(
        code(world.release(&second, &early).await),
        Code::DevicePending
    );
    world.advance(1);
    assert!(
        world
            .release(&second, &world.use_of(&second, &key))
            .await
            .is_ok()
    );
}

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
        let answer = world.release_evidence(Evidence::new(items)).await;
        let refused = answer.expect_err(what);
        assert!((400..500).contains(&refused.status), "{what}: {refused:?}");
    }
    // The nonce was not spent by any of them.
    assert!(world.release(&person, &ask).await.is_ok());
}

#[tokio::test]
async fn evidence_with_another_key_beside_the_signature_is_refused() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let mut items = person.items(&world.use_of(&person, &key));
    if let Item::Request { jwk, .. } = &mut items[0] {
        *jwk = Person::new("app.example").device.public_jwk();
    }
    let answer = world.release_evidence(Evidence::new(items)).await;
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
            "record": RecordId::from_bytes([9; 32]),
        })
    };
    let later = r#"{"type":"passkey","assertion":"…"}"#;
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
    let answer = world.release_evidence(Evidence::new(items)).await;
    assert_eq!(code(answer), Code::EvidenceInvalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_nonce_shown_in_parallel_exactly_one_passes() {
    let world = std::sync::Arc::new(World::new().await);
    let (person, key) = world.person_with_key().await;
    let evidence = person.evidence(&world.use_of(&person, &key));
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let (world, evidence) = (std::sync::Arc::clone(&world), evidence.clone());
            tokio::spawn(async move { world.release_evidence(evidence).await })
        })
        .collect();
    let (mut passed, mut refused) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => passed += 1,
            Err(error) => {
                assert_eq!(error.code, Code::NonceReused);
                refused += 1;
            }
        }
    }
    assert_eq!((passed, refused), (1, 15));
}

#[tokio::test]
async fn a_nonce_spent_for_one_operation_is_spent_for_all() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let first = world.use_of(&person, &key);
    world.release(&person, &first).await.unwrap();
    let again = Ask {
        nonce: first.nonce,
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &again).await),
        Code::NonceReused
    );
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
        let answer = world.release(&person, &ask).await;
        assert_eq!(code(answer), Code::SignatureExpired, "{created} {lifetime}");
    }
    let last_second = Ask {
        created: now - 59,
        ..world.use_of(&person, &key)
    };
    assert!(world.release(&person, &last_second).await.is_ok());
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
    assert!(world.release(&person, &in_time).await.is_ok());
    world.advance(1);
    let late = Ask {
        attestation,
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &late).await),
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
        let answer = world.release(&person, &ask).await;
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
        code(world.release(&person, &ask).await),
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
    let answer = world.release_evidence(Evidence::new(items)).await;
    assert_eq!(code(answer), Code::SessionInvalid);
}

#[tokio::test]
async fn a_key_of_another_account_is_not_released() {
    let world = World::new().await;
    let (_owner, key) = world.person_with_key().await;
    let (thief, _) = world.person_with_key().await;
    let answer = world.release(&thief, &world.use_of(&thief, &key)).await;
    assert_eq!(code(answer), Code::OwnershipMismatch);
}

#[tokio::test]
async fn a_key_of_the_same_account_id_in_another_project_is_not_released() {
    let world = World::new().await;
    let (owner, key) = world.person_with_key().await;
    let mut twin = Person::new("other.example");
    twin.owner.account = owner.owner.account;
    world.enrol(&twin).await.unwrap();
    let answer = world.release(&twin, &world.use_of(&twin, &key)).await;
    assert_eq!(code(answer), Code::OwnershipMismatch);
}

#[tokio::test]
async fn a_key_that_does_not_exist_or_another_generation_is_not_released() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let missing = world.new_key(&person);
    let answer = world
        .release(&person, &world.use_of(&person, &missing))
        .await;
    assert_eq!(code(answer), Code::KeyUnknown);
    for generation in [0, 2, u32::MAX] {
        let evidence = person.evidence(&world.use_of(&person, &key));
        let message = ShareRelease {
            evidence,
            generation,
            record: RecordId::from_bytes([9; 32]),
        };
        let answer = world.call::<Released>(path::SHARE_RELEASE, &message).await;
        assert_eq!(code(answer), Code::KeyUnknown, "{generation}");
    }
}

#[tokio::test]
async fn an_operation_that_needs_no_key_releases_none() {
    let world = World::new().await;
    let (person, _key) = world.person_with_key().await;
    for operation in [
        Operation::Renew,
        Operation::CreateWallet,
        Operation::ListWallets,
    ] {
        let answer = world
            .release(&person, &world.plain(&person, operation))
            .await;
        assert_eq!(code(answer), Code::IntentMismatch, "{operation:?}");
    }
    let sign_in = world.sign_in(&person);
    assert!(world.release(&person, &sign_in).await.is_err());
}

#[tokio::test]
async fn a_key_is_released_no_more_often_than_its_limit() {
    let world = World::with(|config| config.releases_per_key_per_minute = 3).await;
    let (person, key) = world.person_with_key().await;
    let other = world.new_key(&person);
    world.store(&person, &other).await.unwrap();
    for _ in 0..3 {
        world
            .release(&person, &world.use_of(&person, &key))
            .await
            .unwrap();
    }
    let refused = world.use_of(&person, &key);
    assert_eq!(
        code(world.release(&person, &refused).await),
        Code::ReleaseLimit
    );
    // Another key has its own limit; and the refused request spent nothing.
    world
        .release(&person, &world.use_of(&person, &other))
        .await
        .unwrap();
    world.advance(59);
    assert_eq!(
        code(world.release(&person, &refused).await),
        Code::ReleaseLimit
    );
    world.advance(1);
    world
        .release(&person, &world.use_of(&person, &key))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_instance_registered_before_the_realm_gets_no_share() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let outside = Enclave::new(None);
    world.register(&outside).await.unwrap();
    let ask = Ask {
        instance: outside.id(),
        ..world.use_of(&person, &key)
    };
    let evidence = person.evidence(&ask);
    let message = ShareRelease {
        evidence,
        generation: 1,
        record: RecordId::from_bytes([9; 32]),
    };
    let answer = world
        .call_as::<Released>(&outside, path::SHARE_RELEASE, &message)
        .await;
    assert_eq!(code(answer), Code::NotRegistered);
}

#[tokio::test]
async fn the_next_good_request_works_after_every_kind_of_bad_one() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    for version in [0, 2] {
        let mut evidence = person.evidence(&world.use_of(&person, &key));
        evidence.version = version;
        assert_eq!(
            code(world.release_evidence(evidence).await),
            Code::EvidenceInvalid
        );
    }
    let long = Ask {
        nonce: "n".repeat(65),
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &long).await),
        Code::SignatureInvalid
    );
    let short = Ask {
        nonce: "n".repeat(15),
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &short).await),
        Code::SignatureInvalid
    );
    assert!(
        world
            .release(&person, &world.use_of(&person, &key))
            .await
            .is_ok()
    );
}
