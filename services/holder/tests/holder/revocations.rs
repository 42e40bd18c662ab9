//! What was taken off an account stays off, whoever asks for it and however.

use std::fs;

use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{
    DeviceAck, DeviceList, DeviceRevoke, DeviceState, DeviceStatement, DeviceSync, Empty,
    InSession, MAX_REVOKED_AT_ONCE, path,
};
use keyfold_protocol::ids::{RequestId, SessionId};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::log_entry::{Event, LogEntry};

use crate::world::{Answer, Ask, Person, START_MS, World, code, random};

const DAY: u64 = 86_400;

fn revocation(by: &Person, ask: &Ask, named: &[&Person]) -> DeviceRevoke {
    DeviceRevoke {
        evidence: by.evidence(ask),
        devices: named.iter().map(|person| person.thumbprint()).collect(),
    }
}

fn end_of(world: &World, by: &Person, target: &Person) -> Ask {
    let intent = Intent::RevokeDevice {
        id: RequestId::from_bytes(random()),
        device: target.thumbprint(),
    };
    world.ask(by, intent)
}

pub(crate) async fn revoke(world: &World, by: &Person, target: &Person) -> Answer<Empty> {
    let message = revocation(by, &end_of(world, by, target), &[]);
    world.call(path::DEVICE_REVOKE, &message).await
}

pub(crate) async fn revoke_others(world: &World, by: &Person, named: &[&Person]) -> Answer<Empty> {
    let message = revocation(by, &world.plain(by, Operation::RevokeDevices), named);
    world.call(path::DEVICE_REVOKE, &message).await
}

async fn end_session(world: &World, by: &Person, session: SessionId) -> Answer<Empty> {
    let intent = Intent::RevokeSession {
        id: RequestId::from_bytes(random()),
        session,
    };
    let evidence = by.evidence(&world.ask(by, intent));
    world
        .call(path::SESSION_REVOKE, &InSession { evidence })
        .await
}

pub(crate) async fn approve(world: &World, by: &Person, target: &Person) -> Answer<DeviceAck> {
    let intent = Intent::ApproveDevice {
        id: RequestId::from_bytes(random()),
        device: target.thumbprint(),
    };
    let evidence = by.evidence(&world.ask(by, intent));
    world
        .call(path::DEVICE_APPROVE, &InSession { evidence })
        .await
}

async fn check(world: &World, person: &Person) -> Answer<DeviceAck> {
    let evidence = person.evidence(&world.plain(person, Operation::Renew));
    world
        .call(path::SESSION_CHECK, &InSession { evidence })
        .await
}

async fn list(world: &World, person: &Person) -> DeviceList {
    let evidence = person.evidence(&world.plain(person, Operation::ListDevices));
    world
        .call(path::DEVICE_LIST, &InSession { evidence })
        .await
        .unwrap()
}

/// What both other holders state, now: the device is active.
fn acks(world: &World, person: &Person) -> Vec<DeviceAck> {
    let stated = world.others.iter().map(|(holder, key)| {
        DeviceStatement {
            realm: world.realm_id(),
            holder: *holder,
            owner: &person.owner,
            device: person.thumbprint(),
            state: DeviceState::Active,
            issued: world.now(),
        }
        .sign(key)
    });
    stated.collect()
}

async fn sync(world: &World, person: &Person, acks: Vec<DeviceAck>) -> Answer<DeviceAck> {
    let jwk = person.device.public_jwk();
    world
        .call(path::DEVICE_SYNC, &DeviceSync { jwk, acks })
        .await
}

/// Two devices of one account that may act.
async fn two(world: &World) -> (Person, Person) {
    let first = Person::new("app.example");
    world.enrol(&first).await.unwrap();
    let second = Person::of(first.owner.clone());
    world.enrol(&second).await.unwrap();
    approve(world, &first, &second).await.unwrap();
    (first, second)
}

#[tokio::test]
async fn a_revoked_device_is_refused_everywhere_and_its_key_is_released_to_the_others() {
    let world = World::new().await;
    let (owner, key) = world.person_with_key().await;
    let thief = Person::of(owner.owner.clone());
    world.enrol(&thief).await.unwrap();
    approve(&world, &owner, &thief).await.unwrap();
    let ask = world.use_of(&thief, &key);
    assert!(world.release(&thief, &key, &ask).await.is_ok());
    revoke(&world, &owner, &thief).await.unwrap();

    let ask = world.use_of(&thief, &key);
    let release = world.release(&thief, &key, &ask).await;
    assert_eq!(code(release), Code::DeviceRevoked);
    let store = world.store(&thief, &world.new_key(&thief)).await;
    assert_eq!(code(store), Code::DeviceRevoked);
    assert_eq!(code(check(&world, &thief).await), Code::DeviceRevoked);
    // Also in another session.
    let thief = Person {
        session: SessionId::from_bytes(random()),
        ..thief
    };
    assert_eq!(code(check(&world, &thief).await), Code::DeviceRevoked);
    let back = revoke(&world, &thief, &owner).await;
    assert_eq!(code(back), Code::DeviceRevoked);
    let all = revoke_others(&world, &thief, &[]).await;
    assert_eq!(code(all), Code::DeviceRevoked);
    let session = end_session(&world, &thief, owner.session).await;
    assert_eq!(code(session), Code::DeviceRevoked);
    let ask = world.use_of(&owner, &key);
    assert!(world.release(&owner, &key, &ask).await.is_ok());
}

#[tokio::test]
async fn a_revoked_key_does_not_come_back_by_sign_in_approval_or_the_word_of_others() {
    let mut world = World::new().await;
    let (owner, thief) = two(&world).await;
    // Stated before the end, and still fresh.
    let before = acks(&world, &thief);
    revoke(&world, &owner, &thief).await.unwrap();
    for _ in 0..2 {
        assert_eq!(code(world.enrol(&thief).await), Code::DeviceRevoked);
        let approved = approve(&world, &owner, &thief).await;
        assert_eq!(code(approved), Code::DeviceRevoked);
        let synced = sync(&world, &thief, before.clone()).await;
        assert_eq!(code(synced), Code::DeviceRevoked);
        let anew = sync(&world, &thief, acks(&world, &thief)).await;
        assert_eq!(code(anew), Code::DeviceRevoked);
        world.restart().await;
    }
    // Nor after any time, or by housekeeping.
    world.advance_far(400 * DAY).await;
    world.holder.purge().await.unwrap();
    assert_eq!(code(world.enrol(&thief).await), Code::DeviceRevoked);
    // To another account the key is just a key.
    let other = Person {
        device: thief.device,
        ..Person::new("app.example")
    };
    assert_eq!(
        world.enrol(&other).await.unwrap().state,
        DeviceState::Active
    );
}

#[tokio::test]
async fn a_holder_that_never_knew_the_device_keeps_it_out_too() {
    let world = World::new().await;
    let owner = Person::new("app.example");
    world.enrol(&owner).await.unwrap();
    let missed = Person::of(owner.owner.clone());
    let before = acks(&world, &missed);
    // The sign-in arrives after the end of the device, as if it had been held back.
    let held_back = world.sign_in(&missed);
    revoke(&world, &owner, &missed).await.unwrap();
    let late = world.enrol_with(&missed, &held_back).await;
    assert_eq!(code(late), Code::DeviceRevoked);
    assert_eq!(
        code(sync(&world, &missed, before).await),
        Code::DeviceRevoked
    );
}

#[tokio::test]
async fn all_others_go_at_once_and_what_this_holder_missed_with_them() {
    let world = World::new().await;
    let (owner, second) = two(&world).await;
    let waits = Person::of(owner.owner.clone());
    world.enrol(&waits).await.unwrap();
    let missed = Person::of(owner.owner.clone());
    revoke_others(&world, &owner, &[&missed, &owner])
        .await
        .unwrap();
    for gone in [&second, &waits, &missed] {
        assert_eq!(code(check(&world, gone).await), Code::DeviceRevoked);
        assert_eq!(code(world.enrol(gone).await), Code::DeviceRevoked);
    }
    let left = list(&world, &owner).await;
    assert_eq!(left.devices.len(), 1);
    assert_eq!(left.devices[0].device, owner.thumbprint());

    // One that nobody named and that this holder missed: what others said before brings it onto
    // the list, and does not let it act, also not when they are asked again.
    let unnamed = Person::of(owner.owner.clone());
    for _ in 0..2 {
        let said = sync(&world, &unnamed, acks(&world, &unnamed))
            .await
            .unwrap();
        assert!(!said.state.is_active(world.now()));
    }
    // It is not for good: who is approved by others later is active here too.
    world.advance(900);
    let said = sync(&world, &unnamed, acks(&world, &unnamed))
        .await
        .unwrap();
    assert_eq!(said.state, DeviceState::Active);
}

#[tokio::test]
async fn a_device_that_waits_ends_itself_and_nobody_else() {
    let world = World::new().await;
    let owner = Person::new("app.example");
    world.enrol(&owner).await.unwrap();
    let waits = Person::of(owner.owner.clone());
    world.enrol(&waits).await.unwrap();
    let refused = revoke(&world, &waits, &owner).await;
    assert_eq!(code(refused), Code::DevicePending);
    let refused = revoke_others(&world, &waits, &[]).await;
    assert_eq!(code(refused), Code::DevicePending);
    let refused = end_session(&world, &waits, owner.session).await;
    assert_eq!(code(refused), Code::DevicePending);
    assert!(check(&world, &owner).await.is_ok());
    // Nor does a stranger, or somebody of another account.
    let stranger = Person::of(owner.owner.clone());
    let refused = revoke(&world, &stranger, &owner).await;
    assert_eq!(code(refused), Code::DeviceUnknown);
    let (other, _) = world.person_with_key().await;
    revoke(&world, &other, &owner).await.unwrap();
    assert!(check(&world, &owner).await.is_ok());
    // Its own end it may ask for, and be told of again.
    for _ in 0..2 {
        revoke(&world, &waits, &waits).await.unwrap();
    }
    assert_eq!(code(check(&world, &waits).await), Code::DeviceRevoked);
}

#[tokio::test]
async fn who_signs_in_after_the_last_device_was_taken_off_waits() {
    let world = World::new().await;
    let owner = Person::new("app.example");
    world.enrol(&owner).await.unwrap();
    revoke(&world, &owner, &owner).await.unwrap();
    let next = Person::of(owner.owner.clone());
    let ask = world.sign_in(&next);
    let state = world.enrol_as(&next, &ask, true).await.unwrap().state;
    assert!(!state.is_active(world.now()));
}

#[tokio::test]
async fn a_revocation_whose_answer_was_lost_is_confirmed_when_it_comes_again() {
    let world = World::new().await;
    let (owner, second) = two(&world).await;
    let one = revocation(&owner, &end_of(&world, &owner, &second), &[]);
    let all = revocation(&owner, &world.plain(&owner, Operation::RevokeDevices), &[]);
    let own = revocation(&owner, &end_of(&world, &owner, &owner), &[]);
    for message in [&one, &all, &own] {
        for _ in 0..2 {
            let told: Answer<Empty> = world.call(path::DEVICE_REVOKE, message).await;
            told.unwrap();
        }
    }
    // A request that has not been carried out yet is not carried out by its repetition.
    let world = World::new().await;
    let (owner, _) = two(&world).await;
    let all = revocation(&owner, &world.plain(&owner, Operation::RevokeDevices), &[]);
    world
        .call::<Empty>(path::DEVICE_REVOKE, &all)
        .await
        .unwrap();
    let later = Person::of(owner.owner.clone());
    world.enrol(&later).await.unwrap();
    let again: Answer<Empty> = world.call(path::DEVICE_REVOKE, &all).await;
    assert_eq!(code(again), Code::NonceReused);
    assert!(check(&world, &later).await.is_ok());
}

#[tokio::test]
async fn the_enclave_adds_no_names_to_the_end_of_one_device() {
    let world = World::new().await;
    let (owner, second) = two(&world).await;
    let third = Person::of(owner.owner.clone());
    let ask = end_of(&world, &owner, &third);
    let more: Answer<Empty> = world
        .call(path::DEVICE_REVOKE, &revocation(&owner, &ask, &[&second]))
        .await;
    assert_eq!(code(more), Code::IntentMismatch);
    assert!(check(&world, &second).await.is_ok());
    let many = vec![&second; MAX_REVOKED_AT_ONCE + 1];
    let refused = revoke_others(&world, &owner, &many).await;
    assert_eq!(code(refused), Code::MalformedRequest);
    // Nor does evidence of anything else end a device.
    for operation in [Operation::SignOut, Operation::ListDevices] {
        let ask = world.plain(&owner, operation);
        let told: Answer<Empty> = world
            .call(path::DEVICE_REVOKE, &revocation(&owner, &ask, &[&second]))
            .await;
        assert_eq!(code(told), Code::IntentMismatch);
    }
}

#[tokio::test]
async fn a_device_ends_another_session_of_its_account_and_of_no_other() {
    let world = World::new().await;
    let (owner, second) = two(&world).await;
    end_session(&world, &owner, second.session).await.unwrap();
    end_session(&world, &owner, second.session).await.unwrap();
    assert_eq!(code(check(&world, &second).await), Code::SessionRevoked);
    // The device is still the account's.
    let again = Person {
        session: SessionId::from_bytes(random()),
        ..second
    };
    assert!(check(&world, &again).await.is_ok());
    let (other, _) = world.person_with_key().await;
    end_session(&world, &other, owner.session).await.unwrap();
    assert!(check(&world, &owner).await.is_ok());
}

#[tokio::test]
async fn a_revocation_is_on_the_disk_and_in_the_log_before_it_is_answered() {
    let world = World::new().await;
    let (owner, second) = two(&world).await;
    revoke(&world, &owner, &second).await.unwrap();
    // The files as they lie there now, as if the machine had stopped.
    let copy = tempfile::tempdir().unwrap();
    for name in ["holder.db", "holder.db-wal"] {
        fs::copy(world.dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let database = keyfold_storage::Database::open(copy.path().join("holder.db"))
        .await
        .unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM revoked_devices WHERE device = ?")
        .bind(&second.thumbprint().0[..])
        .fetch_one(database.readers())
        .await
        .unwrap();
    assert_eq!(kept, 1);
    let entries = keyfold_storage::LogStore::new(database)
        .entries(0, 100)
        .await
        .unwrap();
    let expected = LogEntry {
        realm: world.realm_id(),
        unix_ms: START_MS,
        instance: world.enclave.id(),
        event: Event::DevicesRevoked {
            owner: &owner.owner,
            by: owner.thumbprint(),
            devices: &[second.thumbprint()],
        },
    };
    use keyfold_crypto::Canonical as _;
    let last = entries.last().unwrap();
    assert_eq!(last.as_bytes(), expected.to_signed_bytes());
}
