//! What leaves the holder under a warrant.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::SealDirection;
use keyfold_protocol::ids::KeyId;
use keyfold_protocol::maintenance::KeyShares;

use crate::world::{Enclave, World, code, random};

#[tokio::test]
async fn what_is_not_here_is_missing_and_the_rest_is_handed_over() {
    let world = World::new().await;
    let (person, first) = world.person_with_dealt_key().await;
    let (stranger, _) = world.person_with_dealt_key().await;
    let last = world.dealt_key(&person).await;
    let changed = async |change: fn(&mut KeyShares)| {
        let mut part = world.dealt_key(&person).await.part();
        change(&mut part);
        part
    };
    let unknown = KeyShares {
        key: KeyId::from_bytes(random()),
        ..last.part()
    };
    let foreign = KeyShares {
        owner: stranger.owner.clone(),
        ..world.dealt_key(&person).await.part()
    };
    let keys = vec![
        first.part(),
        unknown,
        foreign,
        changed(|part| part.generation = 2).await,
        changed(|part| part.leaf.0[0] ^= 1).await,
        changed(|part| {
            part.entropy = part.entropy.map(|mut entropy| {
                entropy.0[0] ^= 1;
                entropy
            })
        })
        .await,
        last.part(),
    ];
    let warrant = world.allowed(3);
    let handed = world.hand_over(&warrant, keys).await.unwrap();
    assert_eq!(handed.missing, [1, 2, 3, 4, 5]);
    let expected = [&first.shares[1][..], &last.shares[1][..]].concat();
    assert_eq!(world.open_batch(&warrant, &handed), expected);
}

#[tokio::test]
async fn a_key_of_the_warrants_generation_or_twice_or_none_at_all_is_refused() {
    let world = World::new().await;
    let (_, key) = world.person_with_dealt_key().await;
    let warrant = world.allowed(2);
    for generation in [2, 3, u32::MAX] {
        let later = KeyShares {
            generation,
            ..key.part()
        };
        let answer = world.hand_over(&warrant, vec![later]).await;
        assert_eq!(code(answer), Code::MalformedRequest, "{generation}");
    }
    let twice = world
        .hand_over(&warrant, vec![key.part(), key.part()])
        .await;
    assert_eq!(code(twice), Code::MalformedRequest);
    let none = world.hand_over(&warrant, Vec::new()).await;
    assert_eq!(code(none), Code::MalformedRequest);
}

#[tokio::test]
async fn an_envelope_opens_for_the_instance_that_asked_and_this_warrant_alone() {
    let world = World::new().await;
    let (_, key) = world.person_with_dealt_key().await;
    let warrant = world.allowed(2);
    let handed = world.hand_over(&warrant, vec![key.part()]).await.unwrap();
    let opens = |enclave: &Enclave, info: &keyfold_protocol::maintenance::BatchSeal| {
        use keyfold_crypto::Canonical as _;
        let info = info.to_signed_bytes();
        keyfold_crypto::hpke::open(&enclave.hpke, &info, b"", &handed.shares.0).is_ok()
    };
    let info = || world.batch_seal(&warrant, SealDirection::ToInstance);
    assert!(opens(&world.enclave, &info()));
    assert!(!opens(&Enclave::new(Some(world.realm_id())), &info()));
    let other = world.allowed(3);
    assert!(!opens(
        &world.enclave,
        &world.batch_seal(&other, SealDirection::ToInstance)
    ));
    assert!(!opens(
        &world.enclave,
        &world.batch_seal(&warrant, SealDirection::ToHolder)
    ));
}

#[tokio::test]
async fn a_damaged_share_is_missing_and_leaves_the_others_alone() {
    let world = World::new().await;
    let (person, damaged) = world.person_with_dealt_key().await;
    let good = world.dealt_key(&person).await;
    let database = keyfold_storage::Database::open(world.config.database_path())
        .await
        .unwrap();
    sqlx::query(
        "UPDATE sealed_shares SET sealed = zeroblob(length(sealed)) WHERE slot IN
            (SELECT slot FROM shares WHERE key = ? AND purpose = 2)",
    )
    .bind(&damaged.sharing.key.as_bytes()[..])
    .execute(database.writer())
    .await
    .unwrap();
    database.close().await;
    let warrant = world.allowed(2);
    let keys = vec![damaged.part(), good.part()];
    let handed = world.hand_over(&warrant, keys).await.unwrap();
    assert_eq!(handed.missing, [0]);
    assert_eq!(world.open_batch(&warrant, &handed), good.shares[1]);
}

#[tokio::test]
async fn a_share_is_handed_over_only_if_it_matches_what_the_table_says_of_it() {
    let world = World::new().await;
    let (_, key) = world.person_with_dealt_key().await;
    let database = keyfold_storage::Database::open(world.config.database_path())
        .await
        .unwrap();
    sqlx::query("UPDATE shares SET commitment = zeroblob(32) WHERE purpose = 2")
        .execute(database.writer())
        .await
        .unwrap();
    database.close().await;
    let mut asked = key.part();
    asked.entropy = Some(keyfold_crypto::commitment::ShareCommitment([0; 32]));
    let warrant = world.allowed(2);
    let handed = world.hand_over(&warrant, vec![asked]).await.unwrap();
    assert_eq!(handed.missing, [0]);
    assert!(world.open_batch(&warrant, &handed).is_empty());
}
