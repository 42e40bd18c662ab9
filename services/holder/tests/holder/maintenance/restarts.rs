//! Killed anywhere, repeated, and gone from the disk in the end.

use std::fs;

use keyfold_crypto::Canonical as _;
use keyfold_protocol::log_entry::{Event, LogEntry};
use keyfold_protocol::maintenance::RETIRED_SECONDS;
use keyfold_storage::{Database, LogStore};

use crate::world::{START_MS, World, code, sharings};

/// The log as it lies on the disk now, as if the machine had stopped.
async fn entries_on_disk(world: &World) -> Vec<Vec<u8>> {
    let copy = tempfile::tempdir().unwrap();
    for name in ["holder.db", "holder.db-wal"] {
        fs::copy(world.dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let database = Database::open(copy.path().join("holder.db")).await.unwrap();
    let entries = LogStore::new(database).entries(0, 100).await.unwrap();
    entries
        .iter()
        .map(|entry| entry.as_bytes().to_vec())
        .collect()
}

#[tokio::test]
async fn each_step_is_in_the_log_before_it_is_answered_and_once() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let warrant = world.allowed(2);
    let id = warrant.warrant.id();
    let entry = |event| {
        let entry = LogEntry {
            realm: world.realm_id(),
            unix_ms: START_MS,
            instance: world.enclave.id(),
            event,
        };
        entry.to_signed_bytes()
    };
    let (parts, new) = (vec![old.part()], world.redeal(&old, 2));
    let keys = sharings(&[&new]);

    let handed = world.hand_over(&warrant, parts.clone()).await.unwrap();
    let log = entries_on_disk(&world).await;
    let expected = Event::KeysHandedOver {
        warrant: id,
        keys: &parts,
    };
    assert_eq!(
        log[usize::try_from(handed.entry.index).unwrap()],
        entry(expected)
    );
    assert_eq!(handed.entry.size, log.len() as u64);

    for _ in 0..2 {
        world.take_over(&warrant, &[&new]).await.unwrap();
    }
    let taken = entries_on_disk(&world).await;
    let expected = Event::KeysTakenOver {
        warrant: id,
        keys: &keys,
    };
    assert_eq!(taken.len(), log.len() + 1);
    assert_eq!(taken.last(), Some(&entry(expected)));

    let acks = world.all_confirm(&[&new]).await;
    for _ in 0..2 {
        world.retire(&[&new], &acks).await.unwrap();
    }
    let retired = entries_on_disk(&world).await;
    assert_eq!(retired.len(), taken.len() + 1);
    assert_eq!(
        retired.last(),
        Some(&entry(Event::KeysRetired { keys: &keys }))
    );
}

#[tokio::test]
async fn what_is_missing_is_not_in_the_log_and_a_refused_step_leaves_no_entry() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let mut absent = world.redeal(&old, 1).part();
    absent.key = keyfold_protocol::ids::KeyId::from_bytes([1; 16]);
    let warrant = world.allowed(2);
    let both = vec![absent, old.part()];
    world.hand_over(&warrant, both).await.unwrap();
    let log = entries_on_disk(&world).await;
    let only = LogEntry {
        realm: world.realm_id(),
        unix_ms: START_MS,
        instance: world.enclave.id(),
        event: Event::KeysHandedOver {
            warrant: warrant.warrant.id(),
            keys: &[old.part()],
        },
    };
    assert_eq!(log.last(), Some(&only.to_signed_bytes()));

    let mut unsigned = warrant.clone();
    unsigned.signatures.clear();
    let new = world.redeal(&old, 2);
    assert!(world.hand_over(&unsigned, vec![old.part()]).await.is_err());
    assert!(world.take_over(&unsigned, &[&new]).await.is_err());
    assert!(world.confirm(&[&new]).await.is_err());
    let acks = world.others_confirm(&[&new]);
    assert!(world.retire(&[&new], &acks).await.is_err());
    assert_eq!(entries_on_disk(&world).await, log);
}

#[tokio::test]
async fn a_restart_after_any_step_forgets_nothing_and_each_step_may_be_repeated() {
    let mut world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let warrant = world.allowed(2);
    for _ in 0..2 {
        let handed = world.hand_over(&warrant, vec![old.part()]).await.unwrap();
        assert_eq!(world.open_batch(&warrant, &handed), old.shares[1]);
        world.restart().await;
    }
    let new = world.redeal(&old, 2);
    for _ in 0..2 {
        world.take_over(&warrant, &[&new]).await.unwrap();
        world.restart().await;
        world.release_of(&person, &old).await.unwrap();
        world.release_of(&person, &new).await.unwrap();
    }
    let mut acks = Vec::new();
    for _ in 0..2 {
        let again = world.all_confirm(&[&new]).await;
        assert!(acks.is_empty() || acks == again);
        acks = again;
        world.restart().await;
    }
    for _ in 0..2 {
        world.retire(&[&new], &acks).await.unwrap();
        world.restart().await;
        world.release_of(&person, &old).await.unwrap();
    }
    world.advance(RETIRED_SECONDS);
    world.restart().await;
    assert!(world.release_of(&person, &old).await.is_err());
    world.release_of(&person, &new).await.unwrap();
    // The answers may have been lost: everything once more.
    world.take_over(&warrant, &[&new]).await.unwrap();
    world.confirm(&[&new]).await.unwrap();
    world.retire(&[&new], &acks).await.unwrap();
    let gone = code(world.release_of(&person, &old).await);
    assert_eq!(gone, keyfold_protocol::error_code::Code::KeyUnknown);
}

/// Every sealed share of a generation, as it lies in the database.
async fn sealed(world: &World, generation: i64) -> Vec<Vec<u8>> {
    let database = Database::open(world.config.database_path()).await.unwrap();
    let sealed = sqlx::query_scalar(
        "SELECT sealed FROM shares JOIN sealed_shares USING (slot) WHERE generation = ?",
    )
    .bind(generation)
    .fetch_all(database.readers())
    .await
    .unwrap();
    database.close().await;
    sealed
}

/// How many of them stand somewhere in the holder's files.
fn found(world: &World, sealed: &[Vec<u8>]) -> usize {
    let files = fs::read_dir(world.dir.path()).unwrap();
    let files: Vec<Vec<u8>> = files
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    let stands = |part: &[u8]| {
        files
            .iter()
            .any(|file| file.windows(part.len()).any(|window| window == part))
    };
    // The end of an envelope is ciphertext and tag.
    sealed
        .iter()
        .filter(|one| stands(&one[one.len() - 32..]))
        .count()
}

#[tokio::test]
async fn the_bytes_of_retired_shares_are_gone_from_the_files() {
    let world = World::new().await;
    let (first, _) = world.person_with_dealt_key().await;
    let mut people = vec![first];
    // Enough for pages to be split, in no order of ids.
    let mut keys = Vec::new();
    for at in 0..128 {
        if at % 32 == 0 {
            people.push(world.person_with_dealt_key().await.0);
        }
        keys.push(world.dealt_key(people.last().unwrap()).await);
    }
    let warrant = world.allowed(2);
    let new: Vec<_> = keys.iter().map(|key| world.redeal(key, 2)).collect();
    let old = sealed(&world, 1).await;
    // Of all keys that are made here five are not refreshed: those of `person_with_dealt_key`.
    assert_eq!(old.len(), 2 * (128 + 5));
    for batch in new.chunks(32) {
        let batch: Vec<_> = batch.iter().collect();
        world.take_over(&warrant, &batch).await.unwrap();
        let acks = world.all_confirm(&batch).await;
        world.retire(&batch, &acks).await.unwrap();
    }
    world.advance(RETIRED_SECONDS - 1);
    world.holder.purge().await.unwrap();
    assert_eq!(found(&world, &old), old.len());
    world.advance(1);
    world.holder.purge().await.unwrap();
    assert_eq!(found(&world, &old), 10);
    let new = sealed(&world, 2).await;
    assert_eq!(found(&world, &new), new.len());
}
