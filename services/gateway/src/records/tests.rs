use futures_util::future::join_all;
use keyfold_crypto::testing::SeededRng;
use keyfold_protocol::gateway_api::{MAX_RECORD, RecordPut, RecordSettle, RecordVersion};
use keyfold_protocol::ids::{Digest32, RecordId};
use keyfold_storage::{Database, migrate};
use rand_core::Rng as _;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;

const NOW: u64 = 1_800_000_000;
const RECORD: RecordId = RecordId::from_bytes([7; 32]);

async fn fresh() -> (TempDir, RecordStore) {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path().join("db")).await.unwrap();
    migrate(&db, MIGRATIONS).await.unwrap();
    (dir, RecordStore::new(db))
}

fn version(version: u64, sealed: &[u8]) -> RecordVersion {
    RecordVersion {
        version,
        hash: Digest32::from_bytes(Sha256::digest(sealed).into()),
        sealed: sealed.to_vec(),
    }
}

fn put(number: u64, sealed: &[u8]) -> RecordPut {
    RecordPut {
        record: RECORD,
        version: version(number, sealed),
    }
}

fn settle(number: u64, sealed: &[u8]) -> RecordSettle {
    RecordSettle {
        record: RECORD,
        version: number,
        hash: version(number, sealed).hash,
    }
}

async fn stored(store: &RecordStore) -> Vec<(u64, Vec<u8>)> {
    let mut found: Vec<_> = store
        .get(&RECORD)
        .await
        .unwrap()
        .into_iter()
        .map(|v| (v.version, v.sealed))
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_new_version_stands_beside_the_old_until_it_is_settled() {
    let (_dir, store) = fresh().await;
    assert!(stored(&store).await.is_empty());
    store.put(&put(1, b"one"), NOW).await.unwrap();
    store.settle(&settle(1, b"one")).await.unwrap();
    store.put(&put(2, b"two"), NOW).await.unwrap();
    assert_eq!(
        stored(&store).await,
        [(1, b"one".to_vec()), (2, b"two".to_vec())]
    );
    store.settle(&settle(2, b"two")).await.unwrap();
    assert_eq!(stored(&store).await, [(2, b"two".to_vec())]);
    let other = RecordId::from_bytes([8; 32]);
    assert!(store.get(&other).await.unwrap().is_empty());
}

#[tokio::test]
async fn asking_twice_changes_nothing() {
    let (_dir, store) = fresh().await;
    for _ in 0..3 {
        store.put(&put(1, b"one"), NOW).await.unwrap();
    }
    for _ in 0..3 {
        store.settle(&settle(1, b"one")).await.unwrap();
    }
    store.put(&put(1, b"one"), NOW).await.unwrap();
    assert_eq!(stored(&store).await, [(1, b"one".to_vec())]);
}

#[tokio::test]
async fn bytes_that_are_not_what_they_claim_are_refused() {
    let (_dir, store) = fresh().await;
    let mut forged = put(1, b"one");
    forged.version.sealed = b"onf".to_vec();
    for (put, expected) in [
        (forged, "the hash is not"),
        (put(1, b""), "a sealed record has"),
        (put(1, &vec![0; MAX_RECORD + 1]), "a sealed record has"),
        (put(0, b"one"), "that is not a version"),
        (put(1 << 63, b"one"), "that is not a version"),
    ] {
        let refused = store.put(&put, NOW).await.unwrap_err().to_string();
        assert!(refused.starts_with(expected), "{refused}");
    }
    assert!(stored(&store).await.is_empty());
    store.put(&put(1, &vec![0; MAX_RECORD]), NOW).await.unwrap();
}

#[tokio::test]
async fn settling_what_is_not_stored_drops_nothing() {
    let (_dir, store) = fresh().await;
    store.put(&put(1, b"one"), NOW).await.unwrap();
    for missing in [settle(2, b"two"), settle(1, b"other"), settle(0, b"one")] {
        assert!(store.settle(&missing).await.is_err());
    }
    assert_eq!(stored(&store).await, [(1, b"one".to_vec())]);
}

#[tokio::test]
async fn a_late_settlement_of_the_old_version_keeps_the_one_that_is_being_confirmed() {
    let (_dir, store) = fresh().await;
    store.put(&put(1, b"one"), NOW).await.unwrap();
    store.put(&put(2, b"two"), NOW).await.unwrap();
    store.settle(&settle(1, b"one")).await.unwrap();
    store.settle(&settle(2, b"two")).await.unwrap();
    assert_eq!(stored(&store).await, [(2, b"two".to_vec())]);
    // And once the new one is settled, the old one cannot come back.
    assert!(matches!(
        store.settle(&settle(1, b"one")).await,
        Err(RecordError::NotStored)
    ));
    for late in [put(1, b"one"), put(2, b"rival")] {
        assert!(matches!(
            store.put(&late, NOW).await,
            Err(RecordError::Superseded)
        ));
    }
}

#[tokio::test]
async fn rivals_at_once_are_all_kept_and_exactly_one_is_settled() {
    let (_dir, store) = fresh().await;
    store.put(&put(1, b"one"), NOW).await.unwrap();
    store.settle(&settle(1, b"one")).await.unwrap();
    let rivals: Vec<Vec<u8>> = (0..4).map(|i| format!("rival {i}").into_bytes()).collect();
    let puts = rivals.iter().map(|sealed| {
        let (store, put) = (&store, put(2, sealed));
        async move { store.put(&put, NOW).await }
    });
    assert!(join_all(puts).await.into_iter().all(|done| done.is_ok()));
    assert_eq!(stored(&store).await.len(), 5);
    let settles = rivals.iter().map(|sealed| {
        let (store, settle) = (&store, settle(2, sealed));
        async move { store.settle(&settle).await.is_ok() }
    });
    let settled = join_all(settles).await;
    assert_eq!(settled.iter().filter(|ok| **ok).count(), 1);
    let winner = rivals[settled.iter().position(|ok| *ok).unwrap()].clone();
    assert_eq!(stored(&store).await, [(2, winner)]);
}

#[tokio::test]
async fn versions_that_wait_are_bounded_and_only_abandoned_ones_make_room() {
    let (_dir, store) = fresh().await;
    store.put(&put(1, b"one"), NOW).await.unwrap();
    store.settle(&settle(1, b"one")).await.unwrap();
    for (i, rival) in [b"a", b"b", b"c", b"d"].into_iter().enumerate() {
        store.put(&put(2, rival), NOW + i as u64).await.unwrap();
    }
    let soon = NOW + ABANDONED_SECONDS;
    assert!(matches!(
        store.put(&put(2, b"e"), soon).await,
        Err(RecordError::Full)
    ));
    assert_eq!(stored(&store).await.len(), 5);
    // The oldest goes, and the settled one never does.
    store.put(&put(2, b"e"), soon + 1).await.unwrap();
    let versions: Vec<_> = stored(&store).await.into_iter().map(|v| v.1).collect();
    assert_eq!(versions, [&b"one"[..], b"b", b"c", b"d", b"e"]);
    store.settle(&settle(2, b"e")).await.unwrap();
    assert_eq!(stored(&store).await, [(2, b"e".to_vec())]);
}

#[tokio::test]
async fn confirmed_versions_that_nobody_settled_make_room_for_their_successors() {
    let (_dir, store) = fresh().await;
    for number in 1..=20u64 {
        store
            .put(&put(number, &number.to_be_bytes()), NOW)
            .await
            .unwrap();
        let newest: Vec<_> = stored(&store).await.into_iter().map(|v| v.0).collect();
        assert!(newest.contains(&number) && (number == 1 || newest.contains(&(number - 1))));
        assert!(newest.len() <= MAX_UNSETTLED);
    }
}

/// Writers that are cut off anywhere, in any order: what is confirmed is never lost.
#[tokio::test]
async fn the_confirmed_version_survives_every_order_of_puts_and_settlements() {
    let mut rng = SeededRng::new(1);
    for _ in 0..20 {
        let (_dir, store) = fresh().await;
        let mut current = (1, b"first".to_vec());
        store.put(&put(1, b"first"), NOW).await.unwrap();
        let mut confirmed = vec![current.clone()];
        let mut waiting: Vec<Vec<u8>> = Vec::new();
        for now in NOW..NOW + 40 {
            match rng.next_u32() % 3 {
                // Some writer stores a successor, and stops there.
                0 => {
                    let sealed = rng.next_u64().to_be_bytes().to_vec();
                    if store.put(&put(current.0 + 1, &sealed), now).await.is_ok() {
                        waiting.push(sealed);
                    }
                }
                // Holders confirm one of them.
                1 if !waiting.is_empty() => {
                    let at = rng.next_u32() as usize % waiting.len();
                    current = (current.0 + 1, waiting.swap_remove(at));
                    confirmed.push(current.clone());
                    waiting.clear();
                }
                // Some writer, perhaps one of long ago, settles what it saw confirmed.
                _ => {
                    let at = rng.next_u32() as usize % confirmed.len();
                    let (number, sealed) = &confirmed[at];
                    let _ = store.settle(&settle(*number, sealed)).await;
                }
            }
            let all = stored(&store).await;
            assert!(all.contains(&current), "{current:?} is lost");
            assert!(all.len() <= MAX_UNSETTLED + 1);
        }
    }
}
