//! Which keys there are.

use std::collections::BTreeSet;

use keyfold_protocol::holder_api::path;
use keyfold_protocol::ids::KeyId;
use keyfold_protocol::maintenance::{KeyPage, KeyQuery};

use crate::world::World;

async fn page(world: &World, below: u32, after: Option<KeyId>, limit: u16) -> KeyPage {
    let query = KeyQuery {
        below,
        after,
        limit,
    };
    world.call(path::KEY_LIST, &query).await.unwrap()
}

#[tokio::test]
async fn pages_name_every_key_of_an_earlier_generation_once_and_in_order() {
    let world = World::new().await;
    let (person, first) = world.person_with_dealt_key().await;
    let mut ids = BTreeSet::from([first.sharing.key]);
    for _ in 0..39 {
        ids.insert(world.dealt_key(&person).await.sharing.key);
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = page(&world, 2, after, 7).await;
        assert_eq!(page.total, 40);
        let Some(last) = page.keys.last() else { break };
        assert!(page.keys.len() <= 7);
        assert!(
            page.keys
                .iter()
                .all(|key| key.owner == person.owner && key.generation == 1)
        );
        after = Some(last.key);
        seen.extend(page.keys.iter().map(|key| key.key));
    }
    assert_eq!(seen, ids.into_iter().collect::<Vec<_>>());
    assert_eq!(page(&world, 2, None, u16::MAX).await.keys.len(), 32);
    assert_eq!(page(&world, 1, None, 32).await.total, 0);
}

#[tokio::test]
async fn a_key_is_listed_until_its_old_shares_are_retired_and_again_for_the_next_generation() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let new = world.redeal(&old, 2);
    let warrant = world.allowed(2);
    world.hand_over(&warrant, vec![old.part()]).await.unwrap();
    world.take_over(&warrant, &[&new]).await.unwrap();
    let acks = world.all_confirm(&[&new]).await;
    assert_eq!(page(&world, 2, None, 32).await.keys[0].generation, 1);
    world.retire(&[&new], &acks).await.unwrap();
    let none = page(&world, 2, None, 32).await;
    assert_eq!((none.keys.len(), none.total), (0, 0));
    let next = page(&world, 3, None, 32).await;
    assert_eq!((next.keys[0].generation, next.total), (2, 1));
}
