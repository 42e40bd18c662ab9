//! Statements, and the end of the old shares.

use keyfold_crypto::ed25519::SigningKey;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::maintenance::{RETIRED_SECONDS, SharesAck, SharesStatement};

use crate::world::{OWN, World, code, rng, sharings};

#[tokio::test]
async fn a_statement_is_this_holders_about_this_batch() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let second = world.dealt_key(&person).await;
    let (a, b) = (world.redeal(&old, 2), world.redeal(&second, 2));
    world.take_over(&world.allowed(2), &[&a, &b]).await.unwrap();
    let ack = world.confirm(&[&a, &b]).await.unwrap();
    assert_eq!(ack.holder, OWN);
    assert!(ack.verify(world.realm(), &sharings(&[&a, &b])));
    for other in [vec![&a], vec![&b, &a], vec![&a, &b, &b]] {
        assert!(!ack.verify(world.realm(), &sharings(&other)));
    }
}

#[tokio::test]
async fn what_is_not_on_disk_is_not_stated() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let here = world.redeal(&old, 2);
    let second = world.dealt_key(&person).await;
    let absent = world.redeal(&second, 2);
    world.take_over(&world.allowed(2), &[&here]).await.unwrap();
    let answer = world.confirm(&[&here, &absent]).await;
    assert_eq!(code(answer), Code::KeyUnknown);
    // The shares of a key's making were not dealt under a warrant.
    assert_eq!(code(world.confirm(&[&old]).await), Code::KeyUnknown);
    let mut foreign = world.redeal(&old, 2);
    foreign.sharing.clone_from(&here.sharing);
    foreign.sharing.owner.account = world.person_with_dealt_key().await.0.owner.account;
    assert_eq!(code(world.confirm(&[&foreign]).await), Code::KeyUnknown);
    // One commitment of another holder differs.
    let mut other = world.redeal(&old, 2);
    other.sharing.clone_from(&here.sharing);
    other.sharing.entropy[2].0[0] ^= 1;
    assert_eq!(code(world.confirm(&[&other]).await), Code::KeyUnknown);
    world.confirm(&[&here]).await.unwrap();
}

#[tokio::test]
async fn a_damaged_share_is_not_stated() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let new = world.redeal(&old, 2);
    world.take_over(&world.allowed(2), &[&new]).await.unwrap();
    let database = keyfold_storage::Database::open(world.config.database_path())
        .await
        .unwrap();
    sqlx::query(
        "UPDATE sealed_shares SET sealed = zeroblob(length(sealed)) WHERE slot IN
            (SELECT slot FROM shares WHERE generation = 2 AND purpose = 2)",
    )
    .execute(database.writer())
    .await
    .unwrap();
    database.close().await;
    assert_eq!(code(world.confirm(&[&new]).await), Code::KeyUnknown);
}

#[tokio::test]
async fn the_old_end_only_when_every_holder_states_that_it_has_the_new() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let second = world.dealt_key(&person).await;
    let (new, other) = (world.redeal(&old, 2), world.redeal(&second, 2));
    world
        .take_over(&world.allowed(2), &[&new, &other])
        .await
        .unwrap();
    let good = world.all_confirm(&[&new]).await;
    let [first, third, own] = [good[0], good[1], good[2]];
    let elsewhere = world.all_confirm(&[&other]).await;
    let keys = sharings(&[&new]);
    let by_stranger = SharesStatement {
        realm: world.realm_id(),
        holder: 3,
        keys: &keys,
    }
    .sign(&SigningKey::generate(&mut rng()));
    let as_third = SharesAck { holder: 3, ..first };
    let fourth = SharesAck { holder: 4, ..third };
    for (what, acks) in [
        ("nobody", vec![]),
        ("all but one", vec![first, third]),
        ("all but this one", vec![first, third, third]),
        ("one twice", vec![first, first, own]),
        ("one under two names", vec![first, as_third, own]),
        ("about another batch", vec![first, elsewhere[1], own]),
        ("by no holder", vec![first, by_stranger, own]),
        ("by a holder that is not there", vec![first, fourth, own]),
        ("one too many", vec![first, third, own, fourth]),
    ] {
        let answer = world.retire(&[&new], &acks).await;
        assert_eq!(code(answer), Code::EvidenceInvalid, "{what}");
    }
    world.advance(RETIRED_SECONDS);
    world.release_of(&person, &old).await.unwrap();
    world.retire(&[&new], &good).await.unwrap();
}

#[tokio::test]
async fn a_holder_that_has_not_the_new_shares_keeps_the_old_whatever_is_stated_in_its_name() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let second = world.dealt_key(&person).await;
    let (new, other) = (world.redeal(&old, 2), world.redeal(&second, 2));
    let warrant = world.allowed(2);
    // Its own statement is genuine, about shares that it lost since: to a restored backup.
    world.take_over(&warrant, &[&new]).await.unwrap();
    let acks = world.all_confirm(&[&new]).await;
    let database = keyfold_storage::Database::open(world.config.database_path())
        .await
        .unwrap();
    sqlx::query("DELETE FROM shares WHERE generation = 2")
        .execute(database.writer())
        .await
        .unwrap();
    database.close().await;
    assert_eq!(code(world.retire(&[&new], &acks).await), Code::KeyUnknown);
    world.release_of(&person, &old).await.unwrap();
    // One key of a batch that is not here keeps the other as it was.
    world.take_over(&warrant, &[&new, &other]).await.unwrap();
    let both = world.all_confirm(&[&new, &other]).await;
    let database = keyfold_storage::Database::open(world.config.database_path())
        .await
        .unwrap();
    sqlx::query("DELETE FROM shares WHERE generation = 2 AND key = ?")
        .bind(&other.sharing.key.as_bytes()[..])
        .execute(database.writer())
        .await
        .unwrap();
    database.close().await;
    assert_eq!(
        code(world.retire(&[&new, &other], &both).await),
        Code::KeyUnknown
    );
    world.advance(RETIRED_SECONDS);
    world.release_of(&person, &old).await.unwrap();
}

#[tokio::test]
async fn of_two_splittings_that_everybody_confirmed_the_first_that_settles_stays() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let (first, rival) = (world.redeal(&old, 2), world.redeal(&old, 2));
    let warrant = world.allowed(2);
    for new in [&first, &rival] {
        world.take_over(&warrant, &[new]).await.unwrap();
    }
    let acks = world.all_confirm(&[&first]).await;
    let rivals = world.all_confirm(&[&rival]).await;
    world.retire(&[&first], &acks).await.unwrap();
    // Even while the other is still released.
    world.release_of(&person, &rival).await.unwrap();
    assert_eq!(
        code(world.retire(&[&rival], &rivals).await),
        Code::KeyUnknown
    );
    assert_eq!(code(world.confirm(&[&rival]).await), Code::KeyUnknown);
    world.advance(RETIRED_SECONDS);
    world.release_of(&person, &first).await.unwrap();
    assert!(world.release_of(&person, &rival).await.is_err());
}

#[tokio::test]
async fn an_earlier_retirement_ends_nothing_of_a_later_generation() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let (second, third) = (world.redeal(&old, 2), world.redeal(&old, 3));
    world
        .take_over(&world.allowed(2), &[&second])
        .await
        .unwrap();
    let acks = world.all_confirm(&[&second]).await;
    world.take_over(&world.allowed(3), &[&third]).await.unwrap();
    for _ in 0..2 {
        world.retire(&[&second], &acks).await.unwrap();
    }
    let later = world.all_confirm(&[&third]).await;
    world.advance(RETIRED_SECONDS);
    for (dealt, there) in [(&old, false), (&second, true), (&third, true)] {
        assert_eq!(world.release_of(&person, dealt).await.is_ok(), there);
    }
    world.retire(&[&third], &later).await.unwrap();
    // Shown again, while the second generation is still released and afterwards.
    assert_eq!(
        code(world.retire(&[&second], &acks).await),
        Code::KeyUnknown
    );
    world.advance(RETIRED_SECONDS);
    assert_eq!(
        code(world.retire(&[&second], &acks).await),
        Code::KeyUnknown
    );
    world.release_of(&person, &third).await.unwrap();
}

#[tokio::test]
async fn a_generation_may_be_left_out() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let (second, fourth) = (world.redeal(&old, 2), world.redeal(&old, 4));
    world
        .take_over(&world.allowed(2), &[&second])
        .await
        .unwrap();
    let stale = world.all_confirm(&[&second]).await;
    world
        .take_over(&world.allowed(4), &[&fourth])
        .await
        .unwrap();
    let acks = world.all_confirm(&[&fourth]).await;
    world.retire(&[&fourth], &acks).await.unwrap();
    assert!(world.retire(&[&second], &stale).await.is_err());
    world.advance(RETIRED_SECONDS);
    for (dealt, there) in [(&old, false), (&second, false), (&fourth, true)] {
        assert_eq!(world.release_of(&person, dealt).await.is_ok(), there);
    }
}
