//! The whole way, and what is released on it.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::maintenance::RETIRED_SECONDS;

use crate::world::{World, code, combined};

#[tokio::test]
async fn new_shares_make_the_same_key_and_the_old_ones_end() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let secret = combined(&[&old.shares[0][0], &old.shares[1][0]]).unwrap();
    let warrant = world.allowed(2);

    let handed = world.hand_over(&warrant, vec![old.part()]).await.unwrap();
    assert_eq!(handed.missing, [] as [u16; 0]);
    // What came out are the shares that went in, and with another holder's they make the key.
    let out = world.open_batch(&warrant, &handed);
    assert_eq!(out, old.shares[1]);
    assert_eq!(combined(&[&old.shares[2][0], &out[0]]).unwrap(), secret);

    let new = world.redeal(&old, 2);
    world.take_over(&warrant, &[&new]).await.unwrap();
    world.release_of(&person, &old).await.unwrap();
    world.release_of(&person, &new).await.unwrap();
    let acks = world.all_confirm(&[&new]).await;
    world.retire(&[&new], &acks).await.unwrap();

    assert_eq!(
        combined(&[&new.shares[0][0], &new.shares[1][0]]).unwrap(),
        secret
    );
    // A new share and an old one make no key, or another one.
    let mixed = combined(&[&old.shares[0][0], &new.shares[1][0]]);
    assert_ne!(mixed, Some(secret));
    world.advance(RETIRED_SECONDS);
    assert_eq!(
        code(world.release_of(&person, &old).await),
        Code::KeyUnknown
    );
    world.release_of(&person, &new).await.unwrap();
}

#[tokio::test]
async fn a_generation_is_released_by_its_own_commitment_and_by_no_other() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let new = world.redeal(&old, 2);
    world.take_over(&world.allowed(2), &[&new]).await.unwrap();
    for (dealt, generation) in [(&old, 2), (&new, 1)] {
        let mixed = world.release_from(&world.enclave, &person, dealt, |message| {
            message.generation = generation;
        });
        assert_eq!(code(mixed.await), Code::KeyUnknown, "{generation}");
    }
}

#[tokio::test]
async fn retired_shares_are_released_for_their_120_seconds_and_not_one_longer() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let new = world.redeal(&old, 2);
    world.take_over(&world.allowed(2), &[&new]).await.unwrap();
    let acks = world.all_confirm(&[&new]).await;
    world.retire(&[&new], &acks).await.unwrap();

    world.advance(RETIRED_SECONDS - 1);
    world.holder.purge().await.unwrap();
    world.release_of(&person, &old).await.unwrap();
    // Asked again, they do not end later.
    world.retire(&[&new], &acks).await.unwrap();
    // Housekeeping may be late.
    world.advance(1);
    assert_eq!(
        code(world.release_of(&person, &old).await),
        Code::KeyUnknown
    );
    let late = world
        .hand_over(&world.allowed(3), vec![old.part()])
        .await
        .unwrap();
    assert_eq!(late.missing, [0]);
    world.holder.purge().await.unwrap();
    // Nor when the clock is put back afterwards.
    world.set_ms(crate::world::START_MS);
    assert_eq!(
        code(world.release_of(&person, &old).await),
        Code::KeyUnknown
    );
    world.release_of(&person, &new).await.unwrap();
}

#[tokio::test]
async fn a_key_is_refreshed_again_and_again() {
    let world = World::new().await;
    let (person, mut last) = world.person_with_dealt_key().await;
    for generation in 2..6 {
        let warrant = world.allowed(generation);
        let handed = world.hand_over(&warrant, vec![last.part()]).await.unwrap();
        assert_eq!(world.open_batch(&warrant, &handed), last.shares[1]);
        let next = world.redeal(&last, generation);
        world.take_over(&warrant, &[&next]).await.unwrap();
        let acks = world.all_confirm(&[&next]).await;
        world.retire(&[&next], &acks).await.unwrap();
        world.advance(RETIRED_SECONDS);
        assert!(world.release_of(&person, &last).await.is_err());
        world.release_of(&person, &next).await.unwrap();
        last = next;
    }
}

#[tokio::test]
async fn a_batch_of_32_keys_goes_the_whole_way_and_a_33rd_key_does_not_fit() {
    let world = World::new().await;
    let (person, first) = world.person_with_dealt_key().await;
    let mut old = vec![first];
    for _ in 0..32 {
        old.push(world.dealt_key(&person).await);
    }
    let warrant = world.allowed(2);
    let parts: Vec<_> = old.iter().map(|dealt| dealt.part()).collect();
    let too_many = world.hand_over(&warrant, parts.clone()).await;
    assert_eq!(code(too_many), Code::MalformedRequest);
    let handed = world
        .hand_over(&warrant, parts[..32].to_vec())
        .await
        .unwrap();
    assert_eq!(world.open_batch(&warrant, &handed).len(), 64);

    let new: Vec<_> = old.iter().map(|dealt| world.redeal(dealt, 2)).collect();
    let all: Vec<_> = new.iter().collect();
    assert_eq!(
        code(world.take_over(&warrant, &all).await),
        Code::MalformedRequest
    );
    assert_eq!(code(world.confirm(&all).await), Code::MalformedRequest);
    let batch = &all[..32];
    world.take_over(&warrant, batch).await.unwrap();
    let acks = world.all_confirm(batch).await;
    world.retire(batch, &acks).await.unwrap();
    world.advance(RETIRED_SECONDS);
    for (old, new) in old.iter().zip(batch) {
        assert!(world.release_of(&person, old).await.is_err());
        world.release_of(&person, new).await.unwrap();
    }
    world.release_of(&person, &old[32]).await.unwrap();
}

#[tokio::test]
async fn a_new_key_is_not_made_again_once_it_was_handed_over_or_has_new_shares() {
    let world = World::new().await;
    let (person, handed) = world.person_with_dealt_key().await;
    let warrant = world.allowed(2);
    world
        .hand_over(&warrant, vec![handed.part()])
        .await
        .unwrap();
    let staged = world.dealt_key(&person).await;
    let new = world.redeal(&staged, 2);
    world.take_over(&warrant, &[&new]).await.unwrap();
    for dealt in [&handed, &staged] {
        let again = world.attempt(&person, &world.key_of_dealt(dealt));
        assert_eq!(code(world.store(&person, &again).await), Code::KeyExists);
    }
    let acks = world.all_confirm(&[&new]).await;
    world.retire(&[&new], &acks).await.unwrap();
    let again = world.attempt(&person, &world.key_of_dealt(&staged));
    assert_eq!(code(world.store(&person, &again).await), Code::KeyExists);
}
