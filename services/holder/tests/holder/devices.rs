//! The holder's own list decides which devices act, and its own clock from when.

use keyfold_crypto::ed25519::SigningKey;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{
    DeviceAck, DeviceList, DeviceState, DeviceStatement, DeviceSync, InSession, path,
};
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::intent::{Intent, Operation};

use crate::world::{Answer, Ask, OWN, Person, World, code, random, rng};

const DAY: u64 = 86_400;

async fn approve(world: &World, by: &Person, target: &Person) -> Answer<DeviceAck> {
    let id = RequestId::from_bytes(random());
    let intent = Intent::ApproveDevice {
        id,
        device: target.thumbprint(),
    };
    let evidence = by.evidence(&world.ask(by, intent));
    world
        .call(path::DEVICE_APPROVE, &InSession { evidence })
        .await
}

async fn list(world: &World, person: &Person) -> Answer<DeviceList> {
    let evidence = person.evidence(&world.plain(person, Operation::ListDevices));
    world.call(path::DEVICE_LIST, &InSession { evidence }).await
}

/// What other holders state about a device.
fn ack(world: &World, by: usize, person: &Person, state: DeviceState) -> DeviceAck {
    let (holder, key) = &world.others[by];
    DeviceStatement {
        realm: world.realm_id(),
        holder: *holder,
        owner: &person.owner,
        device: person.thumbprint(),
        state,
        issued: world.now(),
    }
    .sign(key)
}

/// The same, stated at another time.
fn ack_of(world: &World, by: usize, person: &Person, issued: u64) -> DeviceAck {
    let (holder, key) = &world.others[by];
    DeviceStatement {
        realm: world.realm_id(),
        holder: *holder,
        owner: &person.owner,
        device: person.thumbprint(),
        state: DeviceState::Active,
        issued,
    }
    .sign(key)
}

async fn sync(world: &World, person: &Person, acks: Vec<DeviceAck>) -> Answer<DeviceAck> {
    let jwk = person.device.public_jwk();
    world
        .call(path::DEVICE_SYNC, &DeviceSync { jwk, acks })
        .await
}

#[tokio::test]
async fn the_first_device_acts_at_once_and_the_second_waits() {
    let world = World::new().await;
    let first = Person::new("app.example");
    let ack = world.enrol(&first).await.unwrap();
    assert_eq!((ack.state, ack.holder), (DeviceState::Active, OWN));
    assert!(ack.verify(world.realm()));
    let second = Person::of(first.owner.clone());
    let ack = world.enrol(&second).await.unwrap();
    assert_eq!(
        ack.state,
        DeviceState::Pending {
            active_at: world.now() + DAY
        }
    );
    assert!(ack.verify(world.realm()));
}

#[tokio::test]
async fn signing_in_again_keeps_the_state_and_the_end_of_the_wait() {
    let world = World::new().await;
    let first = Person::new("app.example");
    world.enrol(&first).await.unwrap();
    let second = Person::of(first.owner.clone());
    let pending = world.enrol(&second).await.unwrap().state;
    world.advance(600);
    assert_eq!(world.enrol(&second).await.unwrap().state, pending);
    assert_eq!(
        world.enrol(&first).await.unwrap().state,
        DeviceState::Active
    );
}

#[tokio::test]
async fn a_sign_in_replayed_enrols_nothing() {
    let world = World::new().await;
    let person = Person::new("app.example");
    let ask = world.sign_in(&person);
    world.enrol_with(&person, &ask).await.unwrap();
    assert_eq!(
        code(world.enrol_with(&person, &ask).await),
        Code::NonceReused
    );
    // Nor for another account of the project.
    let mut thief = Person::new("app.example");
    thief.device = person.device;
    assert_eq!(
        code(world.enrol_with(&thief, &ask).await),
        Code::NonceReused
    );
}

#[tokio::test]
async fn a_sign_in_to_another_realm_or_instance_enrols_nothing() {
    let world = World::new().await;
    let person = Person::new("app.example");
    let good = world.sign_in(&person);
    let realm = Ask {
        realm: random_realm(),
        ..good.clone()
    };
    let instance = Ask {
        instance: keyfold_protocol::ids::InstanceId::from_bytes(random()),
        ..good.clone()
    };
    for ask in [realm, instance] {
        assert_eq!(
            code(world.enrol_with(&person, &ask).await),
            Code::EvidenceInvalid
        );
    }
    assert!(world.enrol_with(&person, &good).await.is_ok());
}

fn random_realm() -> keyfold_protocol::ids::RealmId {
    keyfold_protocol::ids::RealmId::from_bytes(random())
}

#[tokio::test]
async fn only_a_finished_sign_in_enrols() {
    let world = World::new().await;
    let person = Person::new("app.example");
    let id = RequestId::from_bytes(random());
    for operation in [Operation::SignInStart, Operation::CreateProject] {
        let intent = Intent::Plain { operation, id };
        let ask = Ask {
            intent,
            ..world.sign_in(&person)
        };
        assert_eq!(
            code(world.enrol_with(&person, &ask).await),
            Code::IntentMismatch
        );
    }
    let in_session = world.plain(&person, Operation::Renew);
    assert_eq!(
        code(world.enrol_with(&person, &in_session).await),
        Code::SignatureInvalid
    );
}

#[tokio::test]
async fn an_active_device_lets_a_pending_one_in() {
    let world = World::new().await;
    let (first, key) = world.person_with_key().await;
    let second = Person::of(first.owner.clone());
    world.enrol(&second).await.unwrap();
    assert_eq!(
        approve(&world, &first, &second).await.unwrap().state,
        DeviceState::Active
    );
    assert!(
        world
            .release(&second, &key, &world.use_of(&second, &key))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_pending_device_approves_nobody_least_of_all_itself() {
    let world = World::new().await;
    let first = Person::new("app.example");
    world.enrol(&first).await.unwrap();
    let [second, third] = [0, 1].map(|_| Person::of(first.owner.clone()));
    world.enrol(&second).await.unwrap();
    world.enrol(&third).await.unwrap();
    for target in [&second, &third] {
        assert_eq!(
            code(approve(&world, &second, target).await),
            Code::DevicePending
        );
    }
}

#[tokio::test]
async fn a_device_of_another_account_or_on_no_list_is_not_approved() {
    let world = World::new().await;
    let (owner, other) = (Person::new("app.example"), Person::new("app.example"));
    world.enrol(&owner).await.unwrap();
    world.enrol(&other).await.unwrap();
    let unknown = Person::of(owner.owner.clone());
    for target in [&other, &unknown] {
        assert_eq!(
            code(approve(&world, &owner, target).await),
            Code::DeviceUnknown
        );
    }
}

async fn check(world: &World, person: &Person) -> Answer<DeviceAck> {
    let evidence = person.evidence(&world.plain(person, Operation::Renew));
    world
        .call(path::SESSION_CHECK, &InSession { evidence })
        .await
}

#[tokio::test]
async fn of_32_devices_the_oldest_that_nobody_let_in_and_that_never_acted_makes_room() {
    let world = World::new().await;
    let owner = Person::new("app.example");
    world.enrol(&owner).await.unwrap();
    let join = async || {
        world.advance(1);
        let person = Person::of(owner.owner.clone());
        world.enrol(&person).await.map(|_| person)
    };
    let approved = join().await.unwrap();
    approve(&world, &owner, &approved).await.unwrap();
    let (used, unused) = (join().await.unwrap(), join().await.unwrap());
    world.advance_far(DAY).await;
    check(&world, &used).await.unwrap();
    // Whoever reads the mail asks again and again, and asks in its sessions too.
    let mut crowd = Vec::new();
    for _ in 0..40 {
        let one = join().await.unwrap();
        check(&world, &one).await.unwrap();
        crowd.push(one);
    }
    let listed = list(&world, &owner).await.unwrap().devices;
    assert_eq!(listed.len(), 32);
    let is_listed = |person: &Person| {
        listed
            .iter()
            .any(|entry| entry.device == person.thumbprint())
    };
    for kept in [&owner, &approved, &used, crowd.last().unwrap()] {
        assert!(is_listed(kept));
    }
    // The one whose wait was over too, since it did nothing with it; then the crowd's oldest.
    for gone in [&unused, &crowd[0]] {
        assert!(!is_listed(gone));
        assert_eq!(code(check(&world, gone).await), Code::DeviceUnknown);
    }
}

#[tokio::test]
async fn no_device_that_was_let_in_makes_room() {
    let world = World::new().await;
    let owner = Person::new("app.example");
    world.enrol(&owner).await.unwrap();
    for _ in 1..32 {
        let person = Person::of(owner.owner.clone());
        world.enrol(&person).await.unwrap();
        approve(&world, &owner, &person).await.unwrap();
    }
    let one_more = Person::of(owner.owner.clone());
    assert_eq!(code(world.enrol(&one_more).await), Code::DeviceLimit);
    let acks = [0, 1]
        .map(|by| ack(&world, by, &one_more, DeviceState::Active))
        .to_vec();
    assert_eq!(code(sync(&world, &one_more, acks).await), Code::DeviceLimit);
    assert!(world.enrol(&owner).await.is_ok());
    assert_eq!(list(&world, &owner).await.unwrap().devices.len(), 32);
}

#[tokio::test]
async fn the_list_shows_the_accounts_devices_with_last_use_and_no_others() {
    let world = World::new().await;
    let (first, key) = world.person_with_key().await;
    world.enrol(&Person::new("app.example")).await.unwrap();
    let mut twin = Person::new("other.example");
    twin.owner.account = first.owner.account;
    world.enrol(&twin).await.unwrap();
    let added = world.now();
    world.advance(10);
    let second = Person::of(first.owner.clone());
    world.enrol(&second).await.unwrap();
    world
        .release(&first, &key, &world.use_of(&first, &key))
        .await
        .unwrap();
    world.advance(5);
    let devices = list(&world, &first).await.unwrap().devices;
    assert_eq!(devices.len(), 2);
    assert_eq!(devices[0].device, first.thumbprint());
    assert_eq!(
        (devices[0].added, devices[0].last_used),
        (added, Some(added + 15))
    );
    assert_eq!(devices[1].device, second.thumbprint());
    assert_eq!((devices[1].added, devices[1].last_used), (added + 10, None));
    assert_eq!(
        devices[1].state,
        DeviceState::Pending {
            active_at: added + 10 + DAY
        }
    );
    assert_eq!(code(list(&world, &second).await), Code::DevicePending);
}

#[tokio::test]
async fn a_device_that_t_others_know_as_active_is_taken_over() {
    let world = World::new().await;
    let person = Person::new("app.example");
    let acks = [0, 1]
        .map(|by| ack(&world, by, &person, DeviceState::Active))
        .to_vec();
    assert_eq!(
        sync(&world, &person, acks).await.unwrap().state,
        DeviceState::Active
    );
    let evidence = person.evidence(&world.plain(&person, Operation::Renew));
    let check = InSession { evidence };
    assert!(
        world
            .call::<DeviceAck>(path::SESSION_CHECK, &check)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_device_that_others_know_as_pending_waits_by_the_holders_own_clock() {
    let world = World::new().await;
    let person = Person::new("app.example");
    let early = DeviceState::Pending { active_at: 1 };
    let acks = vec![
        ack(&world, 0, &person, early),
        ack(&world, 1, &person, DeviceState::Active),
    ];
    let state = sync(&world, &person, acks).await.unwrap().state;
    assert_eq!(
        state,
        DeviceState::Pending {
            active_at: world.now() + DAY
        }
    );
    // Approved at the others in the meantime.
    let acks = [0, 1]
        .map(|by| ack(&world, by, &person, DeviceState::Active))
        .to_vec();
    assert_eq!(
        sync(&world, &person, acks).await.unwrap().state,
        DeviceState::Active
    );
}

#[tokio::test]
async fn too_few_or_unfit_statements_bring_no_device_onto_the_list() {
    let world = World::new().await;
    let person = Person::new("app.example");
    let good = |by| ack(&world, by, &person, DeviceState::Active);
    let forged = DeviceAck {
        holder: 3,
        ..good(0)
    };
    let stranger = {
        let statement = DeviceStatement {
            realm: world.realm_id(),
            holder: 3,
            owner: &person.owner,
            device: person.thumbprint(),
            state: DeviceState::Active,
            issued: world.now(),
        };
        statement.sign(&SigningKey::generate(&mut rng()))
    };
    let no_holder = DeviceAck {
        holder: 4,
        ..good(1)
    };
    let other_realm = {
        let statement = DeviceStatement {
            realm: random_realm(),
            holder: 3,
            owner: &person.owner,
            device: person.thumbprint(),
            state: DeviceState::Active,
            issued: world.now(),
        };
        statement.sign(&world.others[1].1)
    };
    let other_state = DeviceAck {
        state: DeviceState::Active,
        ..ack(&world, 1, &person, DeviceState::Pending { active_at: 9 })
    };
    let elsewhere = Person::new("app.example");
    let other_owner = {
        let owner: &AccountRef = &elsewhere.owner;
        let statement = DeviceStatement {
            realm: world.realm_id(),
            holder: 3,
            owner,
            device: person.thumbprint(),
            state: DeviceState::Active,
            issued: world.now(),
        };
        statement.sign(&world.others[1].1)
    };
    let other_time = DeviceAck {
        issued: world.now() - 1,
        ..good(1)
    };
    let cases: Vec<(&str, Vec<DeviceAck>)> = vec![
        ("an altered time", vec![good(0), other_time]),
        ("none", vec![]),
        ("one", vec![good(0)]),
        ("one twice", vec![good(0), good(0)]),
        ("forged index", vec![good(0), forged]),
        ("a stranger's key", vec![good(0), stranger]),
        ("an index outside the realm", vec![good(0), no_holder]),
        ("another realm", vec![good(0), other_realm]),
        ("an altered state", vec![good(0), other_state]),
        ("another account", vec![good(0), other_owner]),
        (
            "another device",
            vec![good(0), ack(&world, 1, &elsewhere, DeviceState::Active)],
        ),
        ("too many", vec![good(0); 33]),
    ];
    for (what, acks) in cases {
        assert_eq!(
            code(sync(&world, &person, acks).await),
            Code::EvidenceInvalid,
            "{what}"
        );
    }
    assert_eq!(code(list(&world, &person).await), Code::DeviceUnknown);
}

#[tokio::test]
async fn what_others_said_ten_minutes_ago_or_will_say_brings_no_device_onto_the_list() {
    let world = World::new().await;
    let person = Person::new("app.example");
    let now = world.now();
    for issued in [0, now - 601, now + 31, u64::MAX] {
        let acks = vec![
            ack_of(&world, 0, &person, now),
            ack_of(&world, 1, &person, issued),
        ];
        assert_eq!(
            code(sync(&world, &person, acks).await),
            Code::EvidenceInvalid,
            "{issued}"
        );
    }
    assert_eq!(code(list(&world, &person).await), Code::DeviceUnknown);
    let acks = vec![
        ack_of(&world, 0, &person, now - 600),
        ack_of(&world, 1, &person, now + 30),
    ];
    let taken_over = sync(&world, &person, acks).await.unwrap();
    assert_eq!(taken_over.state, DeviceState::Active);
    assert_eq!(taken_over.issued, now);
}

#[tokio::test]
async fn a_holder_that_missed_the_account_lets_nobody_in_at_once() {
    let world = World::new().await;
    let person = Person::new("app.example");
    let ask = world.sign_in(&person);
    // The account's record names devices, of which this holder never heard.
    let ack = world.enrol_as(&person, &ask, false).await.unwrap();
    let active_at = world.now() + DAY;
    assert_eq!(ack.state, DeviceState::Pending { active_at });
    assert_eq!(code(list(&world, &person).await), Code::DevicePending);
    // The others let it act.
    let acks = [0, 1]
        .map(|by| ack_of(&world, by, &person, world.now()))
        .to_vec();
    assert_eq!(
        sync(&world, &person, acks).await.unwrap().state,
        DeviceState::Active
    );
    assert!(list(&world, &person).await.is_ok());
}

#[tokio::test]
async fn who_is_first_in_the_record_is_not_therefore_first_on_the_list() {
    let world = World::new().await;
    let first = Person::new("app.example");
    world.enrol(&first).await.unwrap();
    // The sign-in of the first device was cut off before the record knew of it.
    let second = Person::of(first.owner.clone());
    let ack = world.enrol(&second).await.unwrap();
    assert!(matches!(ack.state, DeviceState::Pending { .. }));
    assert_eq!(
        world.enrol(&first).await.unwrap().state,
        DeviceState::Active
    );
}
