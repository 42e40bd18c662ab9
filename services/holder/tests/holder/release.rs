//! Nothing leaves the holder but for the right device, session, key, realm, instance and moment.

use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_protocol::config::update_digest;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{Released, ShareRelease, path};
use keyfold_protocol::ids::{AddressId, Digest32, InstanceId, RealmId, RequestId};
use keyfold_protocol::intent::{Intent, KeyUse, Operation};

use crate::world::{Ask, Enclave, Person, World, code, rng, share_release};

#[tokio::test]
async fn a_share_comes_out_as_it_went_in_sealed_to_the_instance_that_asked() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let ask = world.use_of(&person, &key);
    let released = world.release(&person, &key, &ask).await.unwrap();
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
            .release(&person, &key, &world.use_of(&person, &key))
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
        code(world.release(&person, &key, &ask).await),
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
        code(world.release(&person, &key, &ask).await),
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
        code(world.release(&person, &key, &foreign).await),
        Code::EvidenceInvalid
    );

    // A second genuine instance shows what the first was sent.
    let second = Enclave::new(Some(world.realm_id()));
    world.register(&second).await.unwrap();
    let evidence = person.evidence(&world.use_of(&person, &key));
    let message = share_release(&key, evidence);
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
        code(world.release(&person, &key, &ask).await),
        Code::SessionInvalid
    );
}

#[tokio::test]
async fn an_attestation_that_does_not_name_the_wallet_releases_nothing() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    for wallets in [Vec::new(), vec![AddressId::from_bytes([0xab; 20])]] {
        let mut claims = world.claims(&person);
        claims.wallets = wallets;
        let ask = Ask {
            attestation: Some(world.attest(&claims)),
            ..world.use_of(&person, &key)
        };
        assert_eq!(
            code(world.release(&person, &key, &ask).await),
            Code::SessionInvalid
        );
    }
    let mut claims = world.claims(&person);
    claims.wallets.insert(0, AddressId::from_bytes([0xab; 20]));
    let ask = Ask {
        attestation: Some(world.attest(&claims)),
        ..world.use_of(&person, &key)
    };
    assert!(world.release(&person, &key, &ask).await.is_ok());
}

#[tokio::test]
async fn a_device_that_is_on_no_list_releases_nothing() {
    let world = World::new().await;
    let (owner, key) = world.person_with_key().await;
    // Everything is genuine: an enclave attested this device for this account.
    let stranger = Person::of(owner.owner.clone());
    let ask = world.use_of(&stranger, &key);
    assert_eq!(
        code(world.release(&stranger, &key, &ask).await),
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
        code(world.release(&stranger, &key, &ask).await),
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
        code(world.release(&second, &key, &early).await),
        Code::DevicePending
    );
    world.advance(1);
    assert!(
        world
            .release(&second, &key, &world.use_of(&second, &key))
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_nonce_shown_in_parallel_exactly_one_passes() {
    let world = std::sync::Arc::new(World::new().await);
    let (person, key) = world.person_with_key().await;
    let message = share_release(&key, person.evidence(&world.use_of(&person, &key)));
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let (world, message) = (std::sync::Arc::clone(&world), message.clone());
            tokio::spawn(async move { world.call::<Released>(path::SHARE_RELEASE, &message).await })
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
    world.release(&person, &key, &first).await.unwrap();
    let again = Ask {
        nonce: first.nonce,
        ..world.use_of(&person, &key)
    };
    assert_eq!(
        code(world.release(&person, &key, &again).await),
        Code::NonceReused
    );
}

#[tokio::test]
async fn a_key_of_another_account_is_not_released() {
    let world = World::new().await;
    let (_owner, key) = world.person_with_key().await;
    let (thief, _) = world.person_with_key().await;
    let answer = world
        .release(&thief, &key, &world.use_of(&thief, &key))
        .await;
    assert_eq!(code(answer), Code::OwnershipMismatch);
}

#[tokio::test]
async fn a_key_of_the_same_account_id_in_another_project_is_not_released() {
    let world = World::new().await;
    let (owner, key) = world.person_with_key().await;
    let mut twin = Person::new("other.example");
    twin.owner.account = owner.owner.account;
    world.enrol(&twin).await.unwrap();
    let answer = world.release(&twin, &key, &world.use_of(&twin, &key)).await;
    assert_eq!(code(answer), Code::OwnershipMismatch);
}

#[tokio::test]
async fn a_key_that_does_not_exist_or_another_generation_is_not_released() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let missing = world.new_key(&person);
    let answer = world
        .release(&person, &missing, &world.use_of(&person, &missing))
        .await;
    assert_eq!(code(answer), Code::KeyUnknown);
    for generation in [0, 2, u32::MAX] {
        let evidence = person.evidence(&world.use_of(&person, &key));
        let message = ShareRelease {
            generation,
            ..share_release(&key, evidence)
        };
        let answer = world.call::<Released>(path::SHARE_RELEASE, &message).await;
        assert_eq!(code(answer), Code::KeyUnknown, "{generation}");
    }
}

#[tokio::test]
async fn an_operation_that_needs_no_key_releases_none() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    for operation in [
        Operation::Renew,
        Operation::CreateWallet,
        Operation::ListWallets,
    ] {
        let answer = world
            .release(&person, &key, &world.plain(&person, operation))
            .await;
        assert_eq!(code(answer), Code::IntentMismatch, "{operation:?}");
    }
    let sign_in = world.sign_in(&person);
    assert!(world.release(&person, &key, &sign_in).await.is_err());
}

#[tokio::test]
async fn a_key_is_released_no_more_often_than_its_limit() {
    let world = World::with(|config| config.releases_per_key_per_minute = 3).await;
    let (person, key) = world.person_with_key().await;
    let other = world.new_key(&person);
    world.store(&person, &other).await.unwrap();
    for _ in 0..3 {
        world
            .release(&person, &key, &world.use_of(&person, &key))
            .await
            .unwrap();
    }
    let refused = world.use_of(&person, &key);
    assert_eq!(
        code(world.release(&person, &key, &refused).await),
        Code::ReleaseLimit
    );
    // Another key has its own limit; and the refused request spent nothing.
    world
        .release(&person, &other, &world.use_of(&person, &other))
        .await
        .unwrap();
    world.advance(59);
    assert_eq!(
        code(world.release(&person, &key, &refused).await),
        Code::ReleaseLimit
    );
    world.advance(1);
    world
        .release(&person, &key, &world.use_of(&person, &key))
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
    let message = share_release(&key, evidence);
    let answer = world
        .call_as::<Released>(&outside, path::SHARE_RELEASE, &message)
        .await;
    assert_eq!(code(answer), Code::NotRegistered);
}

/// An intent to change the configuration of the wallet, of which `digest` is signed.
fn update(key: &crate::world::Key, digest: Digest32) -> Intent {
    Intent::UpdateConfig {
        id: RequestId::from_bytes([7; 16]),
        key_use: KeyUse {
            wallet: AddressId::from_bytes([0xaa; 20]),
            key: key.id,
            digest,
        },
        previous: Digest32::from_bytes([1; 32]),
        next: Digest32::from_bytes([2; 32]),
    }
}

#[tokio::test]
async fn an_update_is_released_and_logged_for_the_digest_that_follows_from_its_root_alone() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let right = update_digest(&[0xaa; 20].into(), &[2; 32].into());
    for wrong in [
        Digest32::from_bytes([0xdd; 32]),
        update_digest(&[0xaa; 20].into(), &[3; 32].into()),
        update_digest(&[0xab; 20].into(), &[2; 32].into()),
    ] {
        let ask = Ask {
            intent: update(&key, wrong),
            ..world.use_of(&person, &key)
        };
        assert_eq!(
            code(world.release(&person, &key, &ask).await),
            Code::IntentMismatch
        );
    }
    let ask = Ask {
        intent: update(&key, right),
        ..world.use_of(&person, &key)
    };
    let released = world.release(&person, &key, &ask).await.unwrap();
    let context = &key.leaf().context;
    let request = ask.intent.request_id();
    let share = world.enclave.open(context, request, right, &released.share);
    share.verify(context, &key.leaf().commitment).unwrap();
}
