//! A process that may write no more to its files, as on a full disk, goes on once it may.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::process::Command;

use keyfold_log::{LogEntry, NoteKey, NoteSigner};
use keyfold_storage::{AppendError, Database, LOG_SCHEMA, LogAppender, LogStore, migrate};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const DIR: &str = "KEYFOLD_STORAGE_FULL_DIR";

fn entry(i: u64) -> LogEntry {
    LogEntry::new(i.to_be_bytes()).unwrap()
}

/// Not a test but the process with the limit, which holds for all threads of a process.
#[tokio::test]
#[ignore = "started by the test below"]
async fn append_with_and_without_space() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let dir = std::path::PathBuf::from(dir);
    let signer = NoteSigner::new("holder-1.example/log", NoteKey::from_seed(&[5; 32])).unwrap();
    let verifier = signer.verifier().unwrap();
    let db = Database::open(dir.join("db")).await.unwrap();
    migrate(&db, &[LOG_SCHEMA]).await.unwrap();
    let log = LogAppender::start(db.clone(), signer).await.unwrap();
    assert_eq!(log.append(entry(0)).await.unwrap().index, Some(0));

    let space = getrlimit(Resource::Fsize);
    let full = Rlimit {
        current: Some(std::fs::metadata(dir.join("db-wal")).unwrap().len()),
        maximum: space.maximum,
    };
    setrlimit(Resource::Fsize, full).unwrap();
    for _ in 0..3 {
        let refused = log.append(entry(1)).await;
        assert!(
            matches!(refused, Err(AppendError::Storage(_))),
            "{refused:?}"
        );
    }
    setrlimit(Resource::Fsize, space).unwrap();

    assert_eq!(log.append(entry(1)).await.unwrap().index, Some(1));
    let head = LogStore::new(db).audit(&verifier).await.unwrap();
    assert_eq!(head.size(), 2);
}

#[test]
fn commits_that_fail_for_want_of_space_are_only_refused_while_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    // A write past the limit sends a signal that ends the process unless it is ignored, which the
    // shell hands down.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "append_with_and_without_space", "--ignored"])
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}
