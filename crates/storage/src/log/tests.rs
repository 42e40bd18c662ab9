use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use keyfold_log::{
    Checkpoint, Frontier, LogEntry, NoteKey, NoteSigner, NoteVerifier, leaf_hash,
    verify_consistency, verify_inclusion,
};
use sqlx::SqliteConnection;
use tempfile::TempDir;

use super::*;
use crate::database::Database;
use crate::error::StorageError;
use crate::migrate::{Migration, migrate};

const ORIGIN: &str = "holder-1.example/log";
const NONCES: Migration = Migration {
    name: "nonces",
    sql: "CREATE TABLE nonces (nonce INTEGER PRIMARY KEY) STRICT;",
};

fn signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, NoteKey::from_seed(&[5; 32])).unwrap()
}

fn verifier() -> NoteVerifier {
    signer().verifier().unwrap()
}

async fn open(dir: &TempDir) -> Database {
    let db = Database::open(dir.path().join("db")).await.unwrap();
    migrate(&db, &[LOG_SCHEMA, NONCES]).await.unwrap();
    db
}

async fn fresh() -> (TempDir, Database, LogAppender) {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir).await;
    let log = LogAppender::start(db.clone(), signer()).await.unwrap();
    (dir, db, log)
}

fn entry(i: u64) -> LogEntry {
    LogEntry::new(i.to_be_bytes()).unwrap()
}

/// Work that uses a nonce up and logs that it did.
fn spend(
    nonce: i64,
) -> impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<Decided<i64>, StorageError>>
+ Send
+ 'static {
    move |connection| {
        Box::pin(async move {
            sqlx::query("INSERT INTO nonces VALUES (?)")
                .bind(nonce)
                .execute(connection)
                .await?;
            Ok(Decided {
                entry: Some(entry(nonce as u64)),
                output: nonce,
            })
        })
    }
}

async fn count(db: &Database, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql)
        .fetch_one(db.readers())
        .await
        .unwrap()
}

#[tokio::test]
async fn an_answer_comes_with_a_checkpoint_that_covers_the_entry_on_disk() {
    let (_dir, db, log) = fresh().await;
    let store = LogStore::new(db);
    for i in 0..20 {
        let done = log.append(entry(i)).await.unwrap();
        assert_eq!(done.index, Some(i));
        let head = Checkpoint::open(done.checkpoint.as_bytes(), ORIGIN, &verifier()).unwrap();
        let proof = store.inclusion_proof(i, done.size).await.unwrap().unwrap();
        let leaf = leaf_hash(&i.to_be_bytes());
        verify_inclusion(&proof, i, head.size(), &leaf, head.root()).unwrap();
    }
    assert_eq!(store.audit(&verifier()).await.unwrap().size(), 20);
}

#[tokio::test]
async fn many_callers_at_once_share_commits_and_each_gets_its_own_place() {
    let (_dir, db, log) = fresh().await;
    let calls = (0..500).map(|i| {
        let log = log.clone();
        async move { log.run(spend(i)).await.unwrap() }
    });
    let done = join_all(calls).await;
    let mut places: Vec<u64> = done.iter().map(|d| d.index.unwrap()).collect();
    places.sort_unstable();
    assert_eq!(places, (0..500).collect::<Vec<_>>());
    let heads: std::collections::BTreeSet<u64> = done.iter().map(|d| d.size).collect();
    assert!(heads.len() < 250, "{} commits for 500 callers", heads.len());
    assert_eq!(
        LogStore::new(db).audit(&verifier()).await.unwrap().size(),
        500
    );
}

#[tokio::test]
async fn the_same_nonce_many_times_in_one_batch_passes_once_and_hurts_nobody_else() {
    let (_dir, db, log) = fresh().await;
    let calls = (0..120).map(|i| {
        let log = log.clone();
        // Every third call uses the same nonce.
        async move { log.run(spend(if i % 3 == 0 { 1_000 } else { i })).await }
    });
    let done = join_all(calls).await;
    let same: Vec<_> = done.iter().step_by(3).collect();
    assert_eq!(same.iter().filter(|r| r.is_ok()).count(), 1);
    assert!(
        same.iter()
            .filter(|r| r.is_err())
            .all(|r| matches!(r, Err(AppendError::Refused(StorageError::Conflict))))
    );
    assert_eq!(done.iter().filter(|r| r.is_ok()).count(), 81);
    assert_eq!(count(&db, "SELECT count(*) FROM nonces").await, 81);
    assert_eq!(
        LogStore::new(db).audit(&verifier()).await.unwrap().size(),
        81
    );
}

#[tokio::test]
async fn work_that_refuses_leaves_nothing_and_its_own_error() {
    let (_dir, db, log) = fresh().await;
    let refused: Result<Appended<()>, _> = log
        .run(|connection| {
            Box::pin(async move {
                sqlx::query("INSERT INTO nonces VALUES (1)")
                    .execute(connection)
                    .await
                    .unwrap();
                Err("the device is not on the list")
            })
        })
        .await;
    assert!(matches!(
        refused,
        Err(AppendError::Refused("the device is not on the list"))
    ));
    assert_eq!(count(&db, "SELECT count(*) FROM nonces").await, 0);
    assert_eq!(count(&db, "SELECT count(*) FROM log_entries").await, 0);
}

#[tokio::test]
async fn work_that_panics_is_undone_and_the_log_goes_on() {
    let (_dir, db, log) = fresh().await;
    let panicked: Result<Appended<()>, AppendError<StorageError>> = log
        .run(|connection| {
            Box::pin(async move {
                sqlx::query("INSERT INTO nonces VALUES (1)")
                    .execute(connection)
                    .await?;
                panic!("a defect in a service")
            })
        })
        .await;
    assert!(matches!(panicked, Err(AppendError::Panicked)));
    assert_eq!(log.run(spend(1)).await.unwrap().index, Some(0));
    assert_eq!(count(&db, "SELECT count(*) FROM nonces").await, 1);
}

#[tokio::test]
async fn work_without_an_entry_is_durable_and_the_log_does_not_grow() {
    let (_dir, db, log) = fresh().await;
    let done = log
        .run(|connection| {
            Box::pin(async move {
                sqlx::query("INSERT INTO nonces VALUES (4)")
                    .execute(connection)
                    .await?;
                Ok::<_, StorageError>(Decided {
                    entry: None,
                    output: "kept",
                })
            })
        })
        .await
        .unwrap();
    assert_eq!((done.index, done.size, done.output), (None, 0, "kept"));
    assert_eq!(count(&db, "SELECT count(*) FROM nonces").await, 1);
}

#[tokio::test]
async fn a_log_opened_again_goes_on_where_it_was_and_proves_it() {
    let (dir, db, log) = fresh().await;
    for i in 0..7 {
        log.append(entry(i)).await.unwrap();
    }
    let store = LogStore::new(db.clone());
    let old = store.audit(&verifier()).await.unwrap();
    drop((log, store));
    db.close().await;

    let db = open(&dir).await;
    let log = LogAppender::start(db.clone(), signer()).await.unwrap();
    for i in 7..30 {
        assert_eq!(log.append(entry(i)).await.unwrap().index, Some(i));
    }
    let store = LogStore::new(db);
    let new = store.audit(&verifier()).await.unwrap();
    let proof = store
        .consistency_proof(old.size(), new.size())
        .await
        .unwrap()
        .unwrap();
    verify_consistency(&proof, old.size(), old.root(), new.size(), new.root()).unwrap();
}

#[tokio::test]
async fn every_proof_from_the_database_verifies_and_none_is_made_outside_it() {
    let (_dir, db, log) = fresh().await;
    let mut roots = vec![Frontier::new().root()];
    let mut frontier = Frontier::new();
    for i in 0..19 {
        log.append(entry(i)).await.unwrap();
        frontier.append(entry(i).leaf_hash()).unwrap();
        roots.push(frontier.root());
    }
    let store = LogStore::new(db);
    for new in 0..=19u64 {
        for old in 0..new {
            let proof = store.inclusion_proof(old, new).await.unwrap().unwrap();
            let root = &roots[new as usize];
            verify_inclusion(&proof, old, new, &entry(old).leaf_hash(), root).unwrap();
            let proof = store.consistency_proof(old, new).await.unwrap().unwrap();
            verify_consistency(&proof, old, &roots[old as usize], new, root).unwrap();
        }
    }
    assert_eq!(store.inclusion_proof(19, 19).await.unwrap(), None);
    assert_eq!(store.inclusion_proof(0, 20).await.unwrap(), None);
    assert_eq!(store.consistency_proof(5, 4).await.unwrap(), None);
    assert_eq!(store.entries(17, 10).await.unwrap(), [entry(17), entry(18)]);
}

#[tokio::test]
async fn entries_cannot_be_changed_or_removed_by_mistake() {
    let (_dir, db, log) = fresh().await;
    log.append(entry(0)).await.unwrap();
    for sql in [
        "UPDATE log_entries SET entry = x'00'",
        "DELETE FROM log_entries",
    ] {
        assert!(sqlx::query(sql).execute(db.writer()).await.is_err());
    }
}

/// What the owner of the file can do, and what the signed checkpoint says to it.
#[tokio::test]
async fn a_rewritten_removed_or_truncated_log_is_noticed() {
    for (defect, sql) in [
        (
            "rewritten",
            "UPDATE log_entries SET entry = x'00' WHERE seq = 3",
        ),
        ("removed", "DELETE FROM log_entries WHERE seq = 3"),
        ("truncated", "DELETE FROM log_entries WHERE seq = 9"),
    ] {
        let (dir, db, log) = fresh().await;
        for i in 0..10 {
            log.append(entry(i)).await.unwrap();
        }
        drop(log);
        sqlx::raw_sql("DROP TRIGGER log_entries_are_final; DROP TRIGGER log_entries_stay;")
            .execute(db.writer())
            .await
            .unwrap();
        sqlx::query(sql).execute(db.writer()).await.unwrap();
        let audit = LogStore::new(db.clone()).audit(&verifier()).await;
        assert!(
            matches!(audit, Err(StorageError::Inconsistent(_))),
            "{defect}"
        );
        db.close().await;
        if defect == "truncated" {
            let opened = LogAppender::start(open(&dir).await, signer()).await;
            assert!(matches!(
                opened,
                Err(LogOpenError::Storage(StorageError::Inconsistent(_)))
            ));
        }
    }
}

#[tokio::test]
async fn a_log_of_another_key_is_not_continued() {
    let (_dir, db, log) = fresh().await;
    log.append(entry(0)).await.unwrap();
    drop(log);
    let other = NoteSigner::new(ORIGIN, NoteKey::from_seed(&[6; 32])).unwrap();
    assert!(matches!(
        LogAppender::start(db, other).await,
        Err(LogOpenError::Checkpoint(_))
    ));
}

#[tokio::test]
async fn two_appenders_on_one_log_never_fork_it() {
    let (_dir, db, first) = fresh().await;
    let second = LogAppender::start(db.clone(), signer()).await.unwrap();
    let mut done = 0;
    for i in 0..20 {
        let log = if i % 2 == 0 { &first } else { &second };
        match log.append(entry(i)).await {
            Ok(_) => done += 1,
            // The batch that found the other's entries is refused whole; the next one reads them.
            Err(AppendError::Storage(error)) => {
                assert!(matches!(*error, StorageError::Conflict), "{error:?}");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(done > 0);
    assert_eq!(
        LogStore::new(db).audit(&verifier()).await.unwrap().size(),
        done
    );
}

#[tokio::test]
async fn a_caller_that_gave_up_before_its_turn_leaves_no_entry() {
    let (_dir, db, log) = fresh().await;
    let gate = Arc::new(tokio::sync::Notify::new());
    let waiting = Arc::clone(&gate);
    let slow = log.clone();
    let slow = tokio::spawn(async move {
        slow.run(move |_| {
            Box::pin(async move {
                waiting.notified().await;
                Ok::<_, StorageError>(Decided {
                    entry: Some(entry(1)),
                    output: (),
                })
            })
        })
        .await
    });
    // Until the slow one is inside its transaction.
    while sqlx::SqlitePool::num_idle(db.writer()) != 0 {
        tokio::task::yield_now().await;
    }
    {
        let given_up = log.append(entry(2));
        tokio::pin!(given_up);
        assert!(futures_util::poll!(&mut given_up).is_pending());
    }
    gate.notify_one();
    slow.await.unwrap().unwrap();
    log.append(entry(3)).await.unwrap();
    assert_eq!(
        LogStore::new(db).entries(0, 10).await.unwrap(),
        [entry(1), entry(3)]
    );
}
