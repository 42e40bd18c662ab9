//! A process that appends is killed with SIGKILL; everything it had acknowledged is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use futures_util::future::join_all;
use keyfold_log::{LogEntry, NoteKey, NoteSigner};
use keyfold_storage::{
    Database, Decided, LOG_SCHEMA, LogAppender, LogStore, Migration, StorageError, migrate,
};

const DIR: &str = "KEYFOLD_STORAGE_KILL_DIR";
const NONCES: Migration = Migration {
    name: "nonces",
    sql: "CREATE TABLE nonces (nonce INTEGER PRIMARY KEY) STRICT;",
};

fn signer() -> NoteSigner {
    NoteSigner::new("holder-1.example/log", NoteKey::from_seed(&[5; 32])).unwrap()
}

async fn open(dir: &std::path::Path) -> Database {
    let db = Database::open(dir.join("db")).await.unwrap();
    migrate(&db, &[LOG_SCHEMA, NONCES]).await.unwrap();
    db
}

/// Not a test but the process that is killed.
#[tokio::test]
#[ignore = "started by the test below"]
async fn append_until_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let log = LogAppender::start(open(dir.as_ref()).await, signer())
        .await
        .unwrap();
    let first = log
        .append(LogEntry::new(*b"start").unwrap())
        .await
        .unwrap()
        .index
        .unwrap();
    let workers = (0..8u64).map(|worker| {
        let log = log.clone();
        async move {
            for i in 0.. {
                let nonce = i64::try_from((first * 1000 + i) * 8 + worker).unwrap();
                let done = log
                    .run(move |connection| {
                        Box::pin(async move {
                            sqlx::query("INSERT INTO nonces VALUES (?)")
                                .bind(nonce)
                                .execute(connection)
                                .await?;
                            let entry = LogEntry::new(nonce.to_be_bytes()).unwrap();
                            Ok::<_, StorageError>(Decided {
                                entry: Some(entry),
                                output: (),
                            })
                        })
                    })
                    .await
                    .unwrap();
                println!("acknowledged {} {nonce}", done.index.unwrap());
            }
        }
    });
    join_all(workers).await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 1..=5usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "append_until_killed", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines {
            // A line may be cut in the middle by the kill.
            let Ok(line) = line else { break };
            let mut words = line.split_ascii_whitespace();
            if let (Some("acknowledged"), Some(index), Some(nonce)) =
                (words.next(), words.next(), words.next())
            {
                seen += 1;
                if seen <= 37 * round {
                    acknowledged
                        .push((index.parse::<u64>().unwrap(), nonce.parse::<i64>().unwrap()));
                }
                if seen == 37 * round {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(
            seen >= 37 * round,
            "the process ended by itself after {seen}"
        );

        let db = open(dir.path()).await;
        let store = LogStore::new(db.clone());
        let head = store.audit(&signer().verifier().unwrap()).await.unwrap();
        for (index, nonce) in &acknowledged {
            let entry = store.entries(*index, 1).await.unwrap().pop().unwrap();
            assert_eq!(entry.as_bytes(), nonce.to_be_bytes());
        }
        // Entry and nonce are one: neither without the other. One entry per start has none.
        let nonces: i64 = sqlx::query_scalar("SELECT count(*) FROM nonces")
            .fetch_one(db.readers())
            .await
            .unwrap();
        assert_eq!(u64::try_from(nonces).unwrap() + round as u64, head.size());
        db.close().await;
    }
}
