//! Only approved code under the trusted root, fresh, bound to its keys and to this realm.

use keyfold_attest::extend;
use keyfold_platform_dev::issuer::DevIssuer;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::seed_share_context;
use keyfold_protocol::holder_api::{
    AttestationKeys, Empty, Released, SignedTime, TimeRequest, TimeStatement, path,
};
use keyfold_protocol::ids::{Digest32, RealmId, RequestId};
use keyfold_protocol::session::AttestationKeySet;

use crate::world::{Enclave, OWN, START_MS, World, code, rng};

#[tokio::test]
async fn a_genuine_instance_registers_until_its_document_is_an_hour_old() {
    let world = World::new().await;
    let enclave = Enclave::new(Some(world.realm_id()));
    world.advance(40);
    let made = START_MS;
    let registered = world
        .register_with(&enclave, |request| request.timestamp_ms = made)
        .await
        .unwrap();
    assert_eq!(registered.instance, enclave.id());
    assert_eq!(registered.expires, START_MS / 1000 + 3_600);
    let time = TimeRequest {
        nonce: Digest32::from_bytes([5; 32]),
    };
    world.set_ms(START_MS + 3_599_999);
    assert!(
        world
            .call_as::<SignedTime>(&enclave, path::TIME, &time)
            .await
            .is_ok()
    );
    world.set_ms(START_MS + 3_600_000);
    let answer = world
        .call_as::<SignedTime>(&enclave, path::TIME, &time)
        .await;
    assert_eq!(code(answer), Code::NotRegistered);
}

#[tokio::test]
async fn a_registration_ends_with_the_first_certificate_of_its_documents_chain() {
    let world = World::new().await;
    let enclave = Enclave::new(Some(world.realm_id()));
    let nonce = world.nonce().await;
    let mut draft = world.issuer.draft(&enclave.document(nonce, START_MS));
    draft.leaf.not_after_seconds = START_MS / 1000 + 1_200;
    let document = draft.certify(&mut rng()).unwrap().seal();
    let registered = world
        .register_document(&enclave, nonce, document)
        .await
        .unwrap();
    assert_eq!(registered.expires, START_MS / 1000 + 1_200);
    let time = TimeRequest {
        nonce: Digest32::from_bytes([5; 32]),
    };
    world.set_ms(START_MS + 1_199_999);
    assert!(
        world
            .call_as::<SignedTime>(&enclave, path::TIME, &time)
            .await
            .is_ok()
    );
    world.set_ms(START_MS + 1_200_000);
    let answer = world
        .call_as::<SignedTime>(&enclave, path::TIME, &time)
        .await;
    assert_eq!(code(answer), Code::NotRegistered);
}

#[tokio::test]
async fn a_document_of_another_root_is_refused() {
    let mut world = World::new().await;
    world.issuer = DevIssuer::generate(&mut rng(), START_MS).unwrap();
    let answer = world.register(&world.enclave).await;
    assert_eq!(code(answer), Code::AttestationRefused);
}

#[tokio::test]
async fn a_document_of_another_image_is_refused() {
    let world = World::new().await;
    for index in 0..=2 {
        let answer = world
            .register_with(&world.enclave, |request| {
                request.pcrs.insert(index, [0xbb; 48]);
            })
            .await;
        assert_eq!(code(answer), Code::AttestationRefused, "PCR{index}");
    }
}

#[tokio::test]
async fn a_document_of_a_debug_enclave_is_refused() {
    let world = World::new().await;
    let answer = world
        .register_with(&world.enclave, |request| {
            for index in 0..=2 {
                request.pcrs.insert(index, [0; 48]);
            }
        })
        .await;
    assert_eq!(code(answer), Code::AttestationRefused);
}

#[tokio::test]
async fn a_document_of_another_time_is_refused() {
    let world = World::new().await;
    for ms in [START_MS - 3_600_001, START_MS + 30_001] {
        let answer = world
            .register_with(&world.enclave, |request| request.timestamp_ms = ms)
            .await;
        assert_eq!(code(answer), Code::AttestationRefused, "{ms}");
    }
}

#[tokio::test]
async fn a_document_that_answers_another_nonce_or_none_is_refused() {
    let world = World::new().await;
    let other = world.nonce().await.as_bytes().to_vec();
    for nonce in [Some(other), Some(vec![b' '; 32]), Some(Vec::new()), None] {
        let answer = world
            .register_with(&world.enclave, |request| request.nonce = nonce.clone())
            .await;
        assert_eq!(code(answer), Code::AttestationRefused, "{nonce:?}");
    }
}

#[tokio::test]
async fn a_nonce_works_for_one_document_within_a_minute() {
    let world = World::new().await;
    let enclave = Enclave::new(Some(world.realm_id()));
    let nonce = world.nonce().await;
    let document = |world: &World| {
        let request = enclave.document(nonce, START_MS);
        world.issuer.issue(&request, &mut rng()).unwrap()
    };
    world.advance(60);
    let late = world
        .register_document(&enclave, nonce, document(&world))
        .await;
    assert_eq!(code(late), Code::NonceUnknown);
    world.set_ms(START_MS + 59_999);
    let first = document(&world);
    world
        .register_document(&enclave, nonce, first.clone())
        .await
        .unwrap();
    for again in [first, document(&world)] {
        let answer = world.register_document(&enclave, nonce, again).await;
        assert_eq!(code(answer), Code::NonceUnknown);
    }
}

#[tokio::test]
async fn a_nonce_that_the_holder_did_not_issue_is_refused() {
    let world = World::new().await;
    let nonce = Digest32::from_bytes([3; 32]);
    let request = world.enclave.document(nonce, START_MS);
    let document = world.issuer.issue(&request, &mut rng()).unwrap();
    let answer = world
        .register_document(&world.enclave, nonce, document)
        .await;
    assert_eq!(code(answer), Code::NonceUnknown);
}

async fn log_size(world: &World) -> usize {
    world.holder.log().entries(0, 1_000).await.unwrap().len()
}

#[tokio::test]
async fn documents_that_strangers_bring_of_a_registered_instance_cost_nothing_and_block_nobody() {
    let world = World::new().await;
    let before = log_size(&world).await;
    let ends = START_MS / 1000 + 3_600;
    // Genuine documents, which the instance's gateway made for whoever asked with our nonces.
    for _ in 0..50 {
        let registered = world.register(&world.enclave).await.unwrap();
        assert_eq!(registered.expires, ends);
    }
    assert_eq!(log_size(&world).await, before);
    // Other keys, or the end of the hour, are a registration like any other.
    let mut rotated = Enclave::new(Some(world.realm_id()));
    world.register(&rotated).await.unwrap();
    rotated.binding.ohttp_config = vec![2; 41];
    world.register(&rotated).await.unwrap();
    assert_eq!(log_size(&world).await, before + 2);
    world.advance(2_999);
    world.register(&world.enclave).await.unwrap();
    assert_eq!(log_size(&world).await, before + 2);
    world.advance(1);
    let registered = world.register(&world.enclave).await.unwrap();
    assert_eq!(registered.expires, ends + 3_000);
    assert_eq!(log_size(&world).await, before + 3);
}

#[tokio::test]
async fn a_refused_document_spends_no_nonce() {
    let world = World::new().await;
    let nonce = world.nonce().await;
    let garbage = world
        .register_document(&world.enclave, nonce, vec![0xff; 5_000])
        .await;
    assert_eq!(code(garbage), Code::AttestationRefused);
    let request = world.enclave.document(nonce, START_MS);
    let document = world.issuer.issue(&request, &mut rng()).unwrap();
    assert!(
        world
            .register_document(&world.enclave, nonce, document)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn keys_that_the_document_does_not_bind_are_refused() {
    let world = World::new().await;
    // The host shows a genuine document of one enclave beside keys of its own.
    let genuine = Enclave::new(Some(world.realm_id()));
    let host = Enclave::new(Some(world.realm_id()));
    let nonce = world.nonce().await;
    let request = genuine.document(nonce, START_MS);
    let document = world.issuer.issue(&request, &mut rng()).unwrap();
    let answer = world.register_document(&host, nonce, document).await;
    assert_eq!(code(answer), Code::AttestationRefused);

    let mut other_config = Enclave::new(Some(world.realm_id()));
    let answer = {
        let nonce = world.nonce().await;
        let request = other_config.document(nonce, START_MS);
        let document = world.issuer.issue(&request, &mut rng()).unwrap();
        other_config.binding.ohttp_config = vec![2; 41];
        world
            .register_document(&other_config, nonce, document)
            .await
    };
    assert_eq!(code(answer), Code::AttestationRefused);
}

#[tokio::test]
async fn a_document_without_a_usable_key_is_refused() {
    let world = World::new().await;
    for key in [None, Some(vec![1; 31]), Some(vec![1; 33])] {
        let answer = world
            .register_with(&world.enclave, |request| request.public_key = key.clone())
            .await;
        assert_eq!(code(answer), Code::AttestationRefused, "{key:?}");
    }
}

#[tokio::test]
async fn an_instance_of_another_realm_is_refused() {
    let world = World::new().await;
    let foreign = Enclave::new(Some(RealmId::from_bytes([1; 32])));
    assert_eq!(code(world.register(&foreign).await), Code::WrongRealm);
}

#[tokio::test]
async fn an_instance_whose_pcr16_is_not_this_realm_is_refused() {
    let world = World::new().await;
    for pcr16 in [[0; 48], extend([0; 48], &[1; 32])] {
        let answer = world
            .register_with(&world.enclave, |request| {
                request.pcrs.insert(16, pcr16);
            })
            .await;
        assert_eq!(code(answer), Code::AttestationRefused);
    }
    let absent = world
        .register_with(&world.enclave, |request| {
            request.pcrs.remove(&16);
        })
        .await;
    assert_eq!(code(absent), Code::AttestationRefused);
}

#[tokio::test]
async fn an_instance_of_a_realm_is_refused_before_there_is_one() {
    let world = World::bare().await;
    let early = Enclave::new(Some(RealmId::from_bytes([1; 32])));
    assert_eq!(code(world.register(&early).await), Code::RealmMissing);
}

#[tokio::test]
async fn the_seed_share_goes_to_instances_of_the_realm_only() {
    let mut world = World::bare().await;
    world.register(&world.enclave).await.unwrap();
    let plan = world.plan();
    let consent = world.propose(&plan).await.unwrap();
    let signed = world.sign(&plan, consent);
    assert_eq!(
        code(world.call::<Released>(path::SEED, &Empty {}).await),
        Code::RealmMissing
    );
    world.commit(&signed).await.unwrap();
    assert_eq!(
        code(world.call::<Released>(path::SEED, &Empty {}).await),
        Code::NotRegistered
    );
    world.join(signed);
    world.register(&world.enclave).await.unwrap();
    let released = world.call::<Released>(path::SEED, &Empty {}).await.unwrap();
    let context = seed_share_context(&plan.record.genesis_nonce, OWN);
    let zeros = (
        RequestId::from_bytes([0; 16]),
        Digest32::from_bytes([0; 32]),
    );
    let share = world
        .enclave
        .open(&context, zeros.0, zeros.1, &released.share);
    let commitment = &plan.record.seed_commitments[usize::from(OWN) - 1];
    share.verify(&context, commitment).unwrap();
}

#[tokio::test]
async fn the_time_is_signed_over_the_nonce() {
    let world = World::new().await;
    let nonce = Digest32::from_bytes([5; 32]);
    let time = world
        .call::<SignedTime>(path::TIME, &TimeRequest { nonce })
        .await
        .unwrap();
    assert_eq!(time.unix_ms, START_MS);
    let key = &world.holder.card().signing_key;
    let statement = |nonce, unix_ms| TimeStatement { nonce, unix_ms };
    assert!(statement(nonce, START_MS).verify(key, &time.signature));
    assert!(!statement(Digest32::from_bytes([6; 32]), START_MS).verify(key, &time.signature));
    assert!(!statement(nonce, START_MS + 1).verify(key, &time.signature));
}

#[tokio::test]
async fn a_statement_of_no_attestation_key_is_refused() {
    let world = World::new().await;
    let keys = AttestationKeySet::default();
    let answer = world
        .call::<Empty>(path::ATTESTATION_KEYS, &AttestationKeys { keys })
        .await;
    assert_eq!(code(answer), Code::MalformedRequest);
}

#[tokio::test]
async fn a_65th_instance_takes_the_place_of_the_one_that_ends_first() {
    let world = World::new().await;
    world.advance(1);
    let mut last = None;
    for _ in 0..64 {
        let enclave = Enclave::new(Some(world.realm_id()));
        world.register(&enclave).await.unwrap();
        last = Some(enclave);
    }
    let time = TimeRequest {
        nonce: Digest32::from_bytes([5; 32]),
    };
    assert_eq!(
        code(world.call::<SignedTime>(path::TIME, &time).await),
        Code::NotRegistered
    );
    let newest = world
        .call_as::<SignedTime>(&last.unwrap(), path::TIME, &time)
        .await;
    assert!(newest.is_ok());
}
