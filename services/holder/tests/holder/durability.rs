//! What was answered is on disk, under a signed checkpoint; what is on disk gives nothing away.

use std::fs;
use std::path::Path;

use keyfold_crypto::Canonical as _;
use keyfold_log::NoteVerifier;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{Empty, ProjectNotice, path};
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::log_entry::{Event, LogEntry};
use keyfold_storage::{Database, LogStore};

use crate::world::{Ask, Enclave, Person, START_MS, World, code};

/// Copies the database as it lies on the disk now, as if the machine had stopped.
fn snapshot(world: &World) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["holder.db", "holder.db-wal"] {
        fs::copy(world.dir.path().join(name), copy.path().join(name)).unwrap();
    }
    copy
}

fn verifier(world: &World) -> NoteVerifier {
    let key = world.holder.card().signing_key.to_bytes();
    NoteVerifier::new(world.config.log_origin(), &key).unwrap()
}

async fn log_in(dir: &Path) -> LogStore {
    LogStore::new(Database::open(dir.join("holder.db")).await.unwrap())
}

fn event_of<'a>(person: &'a Person, ask: &Ask) -> Event<'a> {
    let key_use = ask.intent.key_use().unwrap();
    Event::Released {
        owner: &person.owner,
        device: person.thumbprint(),
        request: ask.intent.request_id(),
        operation: ask.intent.operation(),
        wallet: key_use.wallet,
        key: key_use.key,
        generation: 1,
        digest: key_use.digest,
    }
}

#[tokio::test]
async fn a_release_is_in_the_log_under_a_signed_checkpoint_before_it_is_answered() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let ask = world.use_of(&person, &key);
    let released = world.release(&person, &key, &ask).await.unwrap();

    let copy = snapshot(&world);
    let log = log_in(copy.path()).await;
    let head = log.audit(&verifier(&world)).await.unwrap();
    assert_eq!(head.size(), released.entry.size);
    let expected = LogEntry {
        realm: world.realm_id(),
        unix_ms: START_MS,
        instance: world.enclave.id(),
        event: event_of(&person, &ask),
    };
    let entries = log.entries(released.entry.index, 1).await.unwrap();
    assert_eq!(entries[0].as_bytes(), expected.to_signed_bytes());
}

#[tokio::test]
async fn a_refused_release_leaves_no_entry() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let released = world
        .release(&person, &key, &world.use_of(&person, &key))
        .await
        .unwrap();
    let stranger = Person::of(person.owner.clone());
    assert!(
        world
            .release(&stranger, &key, &world.use_of(&stranger, &key))
            .await
            .is_err()
    );
    let head = world.holder.log().audit(&verifier(&world)).await.unwrap();
    assert_eq!(head.size(), released.entry.size);
}

#[tokio::test]
async fn genesis_registration_devices_keys_and_revocations_are_logged_in_order() {
    let world = World::new().await;
    let (person, _) = world.person_with_key().await;
    let entries = world.holder.log().entries(0, 100).await.unwrap();
    // Registered twice (before and in the realm), genesis between, then keys, device, user's key.
    assert_eq!(entries.len(), 6);
    let expected = |event| {
        LogEntry {
            realm: world.realm_id(),
            unix_ms: START_MS,
            instance: world.enclave.id(),
            event,
        }
        .to_signed_bytes()
    };
    let device = Event::Device {
        owner: &person.owner,
        device: person.thumbprint(),
        state: keyfold_protocol::holder_api::DeviceState::Active,
    };
    assert_eq!(entries[4].as_bytes(), expected(device));
}

#[tokio::test]
async fn a_change_of_a_project_is_on_disk_before_it_is_answered() {
    let world = World::new().await;
    let notice = ProjectNotice {
        project: "app.example".parse().unwrap(),
        version: 4,
        command: Digest32::from_bytes([6; 32]),
    };
    let _: Empty = world.call(path::PROJECT_CHANGED, &notice).await.unwrap();
    let copy = snapshot(&world);
    let log = log_in(copy.path()).await;
    let head = log.audit(&verifier(&world)).await.unwrap();
    let expected = LogEntry {
        realm: world.realm_id(),
        unix_ms: START_MS,
        instance: world.enclave.id(),
        event: Event::ProjectChanged {
            project: &notice.project,
            version: 4,
            command: notice.command,
        },
    };
    let last = log.entries(head.size() - 1, 1).await.unwrap();
    assert_eq!(last[0].as_bytes(), expected.to_signed_bytes());
}

#[tokio::test]
async fn a_restart_forgets_no_nonce_device_key_or_realm() {
    let mut world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let evidence = person.evidence(&world.use_of(&person, &key));
    world
        .release_evidence(&key, evidence.clone())
        .await
        .unwrap();
    world.restart().await;
    assert_eq!(
        code(world.release_evidence(&key, evidence).await),
        Code::NonceReused
    );
    assert!(
        world
            .release(&person, &key, &world.use_of(&person, &key))
            .await
            .is_ok()
    );
    let second = Person::of(person.owner.clone());
    let state = world.enrol(&second).await.unwrap().state;
    assert!(!state.is_active(world.now()));
    assert!(
        world
            .call::<keyfold_protocol::holder_api::Released>(
                keyfold_protocol::holder_api::path::SEED,
                &Empty {}
            )
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_restart_forgets_registrations() {
    let mut world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let another = Enclave::new(Some(world.realm_id()));
    let before = std::mem::replace(&mut world.enclave, another);
    world.restart().await;
    world.enclave = before;
    let answer = world
        .release(&person, &key, &world.use_of(&person, &key))
        .await;
    assert_eq!(code(answer), Code::NotRegistered);
}

#[tokio::test]
async fn housekeeping_forgets_no_nonce_that_could_still_be_shown() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let evidence = person.evidence(&world.use_of(&person, &key));
    world
        .release_evidence(&key, evidence.clone())
        .await
        .unwrap();
    world.advance(59);
    world.holder.purge().await.unwrap();
    assert_eq!(
        code(world.release_evidence(&key, evidence.clone()).await),
        Code::NonceReused
    );
    // Also where the clock is put back after the signature expired.
    world.advance(600);
    world.holder.purge().await.unwrap();
    world.set_ms(START_MS);
    assert_eq!(
        code(world.release_evidence(&key, evidence).await),
        Code::NonceReused
    );
}

#[tokio::test]
async fn the_files_hold_no_share_in_plain() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    world
        .release(&person, &key, &world.use_of(&person, &key))
        .await
        .unwrap();
    let mut searched = 0;
    for entry in fs::read_dir(world.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read(&path).unwrap();
        searched += content.len();
        for share in &key.shares {
            // The opening, then the share itself: behind version and index.
            for part in [&share.bytes[2..34], &share.bytes[34..]] {
                let found = content.windows(part.len()).any(|window| window == part);
                assert!(!found, "a share stands in {}", path.display());
            }
        }
    }
    assert!(searched > 10_000);
}

#[tokio::test]
async fn a_log_that_was_altered_is_not_opened() {
    let world = World::new().await;
    world.person_with_key().await;
    world.holder.close().await;
    let database = Database::open(world.config.database_path()).await.unwrap();
    sqlx::query("DROP TRIGGER log_entries_stay")
        .execute(database.writer())
        .await
        .unwrap();
    sqlx::query("DELETE FROM log_entries WHERE seq = (SELECT max(seq) FROM log_entries)")
        .execute(database.writer())
        .await
        .unwrap();
    database.close().await;
    assert!(world.reopen().await.is_err());
}

#[tokio::test]
async fn a_holder_whose_card_changed_does_not_serve_its_old_realm() {
    let mut world = World::new().await;
    world.holder.close().await;
    world.config.address = "moved.example:7102".to_owned();
    assert!(world.reopen().await.is_err());
}
