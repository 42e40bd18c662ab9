//! A holder's word on its shares.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::path;
use keyfold_protocol::ids::{Digest32, KeyId};
use keyfold_protocol::maintenance::{Drill, Drilled, KeyShares, RETIRED_SECONDS};

use crate::world::{Answer, World, code, random};

async fn drill(world: &World, keys: Vec<KeyShares>) -> (Drill, Answer<Drilled>) {
    let nonce = Digest32::from_bytes(random());
    let asked = Drill { nonce, keys };
    let answer = world.call(path::SHARE_DRILL, &asked).await;
    (asked, answer)
}

#[tokio::test]
async fn shares_that_are_not_good_are_named_in_a_signed_answer_to_this_question() {
    let world = World::new().await;
    let (person, good) = world.person_with_dealt_key().await;
    let (damaged, last) = (
        world.dealt_key(&person).await,
        world.dealt_key(&person).await,
    );
    let database = keyfold_storage::Database::open(world.config.database_path())
        .await
        .unwrap();
    // As after a mistake that the disk does not notice: another key's share, in this one's row.
    sqlx::query(
        "UPDATE shares SET slot =
            (SELECT slot FROM shares WHERE key = ?2 AND purpose = 3) WHERE key = ?1 AND purpose = 3",
    )
    .bind(&damaged.sharing.key.as_bytes()[..])
    .bind(&good.sharing.key.as_bytes()[..])
    .execute(database.writer())
    .await
    .unwrap();
    database.close().await;
    let mut wrong = world.dealt_key(&person).await.part();
    wrong.leaf.0[0] ^= 1;
    let unknown = KeyShares {
        key: KeyId::from_bytes(random()),
        ..last.part()
    };
    let keys = vec![good.part(), damaged.part(), wrong, unknown, last.part()];
    let (asked, answer) = drill(&world, keys).await;
    let answer = answer.unwrap();
    assert_eq!(answer.bad, [1, 2, 3]);
    assert!(answer.verify(world.realm(), &asked));
    // Neither kept for another question nor altered.
    let other = Drill {
        nonce: Digest32::from_bytes(random()),
        ..asked.clone()
    };
    assert!(!answer.verify(world.realm(), &other));
    let mut silent = answer;
    silent.bad.clear();
    assert!(!silent.verify(world.realm(), &asked));
}

#[tokio::test]
async fn a_drill_logs_releases_and_changes_nothing() {
    let world = World::new().await;
    let (person, key) = world.person_with_dealt_key().await;
    let size = async || world.holder.log().entries(0, 100).await.unwrap().len();
    let before = size().await;
    drill(&world, vec![key.part()]).await.1.unwrap();
    assert_eq!(size().await, before);
    // Still a key that is being made.
    let again = world.attempt(&person, &world.key_of_dealt(&key));
    world.store(&person, &again).await.unwrap();
}

#[tokio::test]
async fn a_drill_of_no_key_or_one_twice_is_refused() {
    let world = World::new().await;
    let (_, key) = world.person_with_dealt_key().await;
    for keys in [vec![], vec![key.part(), key.part()]] {
        let (_, answer) = drill(&world, keys).await;
        assert_eq!(code(answer), Code::MalformedRequest);
    }
}

#[tokio::test]
async fn shares_that_ended_are_not_good() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let new = world.redeal(&old, 2);
    world.take_over(&world.allowed(2), &[&new]).await.unwrap();
    let acks = world.all_confirm(&[&new]).await;
    world.retire(&[&new], &acks).await.unwrap();
    world.advance(RETIRED_SECONDS);
    assert_eq!(drill(&world, vec![old.part()]).await.1.unwrap().bad, [0]);
    assert!(
        drill(&world, vec![new.part()])
            .await
            .1
            .unwrap()
            .bad
            .is_empty()
    );
}
