//! A passkey vouches for one device of one account, now, once; and only if an active device had it
//! bound before.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{Evidence, Item, ShownNewPasskey};
use keyfold_protocol::holder_api::{
    DeviceEnrol, DeviceState, Empty, IdentityLinked, InSession, path,
};
use keyfold_protocol::ids::{Digest32, RequestId};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::sign_in::Proof;

use crate::revocations::{approve, revoke, revoke_others};
use crate::world::{Answer, Ask, Authenticator, Person, World, code, random};

const DAY: u64 = 86_400;

/// An account whose active device had a passkey bound, and the passkey.
async fn with_passkey(world: &World) -> (Person, Authenticator) {
    let person = Person::new("app.example");
    world.enrol(&person).await.unwrap();
    let passkey = Authenticator::new();
    let linked = link(world, &person, passkey.make(world, &person)).await;
    assert_eq!(linked.unwrap().counts_from, world.now());
    (person, passkey)
}

async fn link(world: &World, person: &Person, shown: ShownNewPasskey) -> Answer<IdentityLinked> {
    world.link(person, Item::NewPasskey(shown)).await
}

/// A new device of the account shows something; says whether it is active at once.
async fn lets_in(world: &World, device: &Person, item: Item) -> bool {
    let ack = world
        .enrol_showing(device, &world.sign_in(device), vec![item])
        .await
        .unwrap();
    assert!(ack.verify(world.realm()));
    match ack.state {
        DeviceState::Active => true,
        DeviceState::Pending { active_at } => {
            assert_eq!(active_at, world.now() + DAY);
            false
        }
    }
}

#[tokio::test]
async fn a_passkey_of_the_account_lets_a_device_in_at_once() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    let passkey = Authenticator::new();
    link(&world, &person, passkey.make(&world, &person))
        .await
        .unwrap();
    let second = Person::of(person.owner.clone());
    assert!(lets_in(&world, &second, passkey.vouch(&world, &second)).await);
    assert!(
        world
            .release(&second, &key, &world.use_of(&second, &key))
            .await
            .is_ok()
    );
    // One that has waited so far is let in, too.
    let third = Person::of(person.owner.clone());
    let waiting = world.enrol_as(&third, &world.sign_in(&third), false).await;
    assert!(!waiting.unwrap().state.is_active(world.now()));
    assert!(lets_in(&world, &third, passkey.vouch(&world, &third)).await);
}

#[tokio::test]
async fn a_passkey_that_vouches_for_something_else_lets_nobody_in() {
    let world = World::new().await;
    let (person, passkey) = with_passkey(&world).await;
    let (stranger, foreign) = with_passkey(&world).await;
    let device = Person::of(person.owner.clone());
    let (now, thumbprint) = (world.now(), device.thumbprint());
    let vouch = |change: fn(&mut Authenticator)| {
        let mut passkey = passkey.clone();
        change(&mut passkey);
        passkey.vouch(&world, &device)
    };
    let mut altered = passkey.vouch(&world, &device);
    if let Item::Passkey(shown) = &mut altered {
        shown.random[0] ^= 1;
    }
    for (what, item) in [
        ("another device", passkey.vouch(&world, &person)),
        (
            "another project",
            passkey.vouch_for("other.example", thumbprint, now),
        ),
        ("another account", foreign.vouch(&world, &device)),
        (
            "an old challenge",
            passkey.vouch_for("app.example", thumbprint, now - 360),
        ),
        (
            "a challenge from the future",
            passkey.vouch_for("app.example", thumbprint, now + 61),
        ),
        ("altered", altered),
        ("nobody verified", vouch(|p| p.flags = 0x01)),
        ("nobody there", vouch(|p| p.flags = 0x04)),
        (
            "another relying party",
            vouch(|p| p.relying_party = "frame.app.example".to_owned()),
        ),
        (
            "another page",
            vouch(|p| p.origin = "https://app.example.evil.example".to_owned()),
        ),
        ("another key", vouch(|p| p.key = Authenticator::new().key)),
        (
            "a passkey that nobody linked",
            Authenticator::new().vouch(&world, &device),
        ),
    ] {
        assert!(!lets_in(&world, &device, item).await, "{what}");
    }
    // Of all these, none used up the genuine one; and it is the account's, nobody else's.
    let thief = device.in_account(stranger.owner);
    assert!(!lets_in(&world, &thief, passkey.vouch(&world, &thief)).await);
    assert!(lets_in(&world, &device, passkey.vouch(&world, &device)).await);
}

#[tokio::test]
async fn an_assertion_is_used_up_and_does_not_bring_a_device_back() {
    let world = World::new().await;
    let (person, passkey) = with_passkey(&world).await;
    let device = Person::of(person.owner.clone());
    let vouched = passkey.vouch(&world, &device);
    assert!(lets_in(&world, &device, vouched.clone()).await);
    // Struck off the list, as by whoever takes devices off; the enclave shows the same again.
    forget(&world, &device).await;
    assert!(!lets_in(&world, &device, vouched.clone()).await);
    forget(&world, &device).await;
    world.advance(301 + 60);
    world.holder.purge().await.unwrap();
    assert!(!lets_in(&world, &device, vouched).await);
}

async fn forget(world: &World, device: &Person) {
    let database = keyfold_storage::Database::open(world.config.database_path())
        .await
        .unwrap();
    sqlx::query("DELETE FROM devices WHERE device = ?")
        .bind(&device.thumbprint().0[..])
        .execute(database.writer())
        .await
        .unwrap();
    database.close().await;
}

#[tokio::test]
async fn a_copy_of_an_authenticator_lets_nobody_in() {
    let mut world = World::new().await;
    let (person, mut passkey) = with_passkey(&world).await;
    passkey.count = 7;
    let device = |_| Person::of(person.owner.clone());
    let [first, copy, again, next] = [0, 1, 2, 3].map(device);
    assert!(lets_in(&world, &first, passkey.vouch(&world, &first)).await);
    world.restart().await;
    for (stale, device) in [(7, &copy), (0, &again)] {
        passkey.count = stale;
        assert!(!lets_in(&world, device, passkey.vouch(&world, device)).await);
    }
    passkey.count = 8;
    assert!(lets_in(&world, &next, passkey.vouch(&world, &next)).await);
}

#[tokio::test]
async fn a_device_links_only_what_it_named() {
    let world = World::new().await;
    let person = Person::new("app.example");
    world.enrol(&person).await.unwrap();
    // What a lying enclave would show in its place.
    let planted = Authenticator::new().make(&world, &person);
    let own = Authenticator::new().make(&world, &person);
    let named = Proof::NewPasskey(own.registration.clone()).digest();
    let refused = world
        .link_naming(&person, named, Item::NewPasskey(planted))
        .await;
    assert_eq!(code(refused), Code::EvidenceInvalid);
    // For another device, or without anything.
    let second = Person::of(person.owner.clone());
    let elsewhere = Authenticator::new().make(&world, &second);
    let refused = link(&world, &person, elsewhere).await;
    assert_eq!(code(refused), Code::EvidenceInvalid);
    let id = RequestId::from_bytes(random());
    let intent = Intent::LinkIdentity { id, proof: named };
    let nothing: Answer<IdentityLinked> = world
        .show(path::IDENTITY_LINK, &person, intent, Vec::new())
        .await;
    assert_eq!(code(nothing), Code::EvidenceInvalid);
    // A device that waits.
    world
        .enrol_as(&second, &world.sign_in(&second), false)
        .await
        .unwrap();
    let refused = link(&world, &second, Authenticator::new().make(&world, &second)).await;
    assert_eq!(code(refused), Code::DevicePending);
    assert!(link(&world, &person, own).await.is_ok());
}

#[tokio::test]
async fn a_link_whose_answer_was_lost_is_confirmed_and_a_taken_id_is_not_overwritten() {
    let world = World::new().await;
    let person = Person::new("app.example");
    world.enrol(&person).await.unwrap();
    let passkey = Authenticator::new();
    let shown = passkey.make(&world, &person);
    let intent = Intent::LinkIdentity {
        id: RequestId::from_bytes(random()),
        proof: Proof::NewPasskey(shown.registration.clone()).digest(),
    };
    let mut items = person.items(&world.ask(&person, intent));
    items.push(Item::NewPasskey(shown));
    let message = InSession {
        evidence: Evidence::new(items),
    };
    let once: IdentityLinked = world.call(path::IDENTITY_LINK, &message).await.unwrap();
    let again: IdentityLinked = world.call(path::IDENTITY_LINK, &message).await.unwrap();
    assert_eq!(once, again);
    // The id of a passkey is no secret.
    let other_key = Authenticator {
        id: passkey.id.clone(),
        ..Authenticator::new()
    };
    let taken = link(&world, &person, other_key.make(&world, &person)).await;
    assert_eq!(code(taken), Code::IdentityTaken);
    let device = Person::of(person.owner.clone());
    assert!(!lets_in(&world, &device, other_key.vouch(&world, &device)).await);
    assert!(lets_in(&world, &device, passkey.vouch(&world, &device)).await);
}

#[tokio::test]
async fn an_unlinked_passkey_vouches_no_more() {
    let mut world = World::new().await;
    let (person, passkey) = with_passkey(&world).await;
    let (other, others) = with_passkey(&world).await;
    // Nobody unlinks what is another account's.
    world.unlink(&other, passkey.identity()).await.unwrap();
    let device = Person::of(person.owner.clone());
    assert!(lets_in(&world, &device, passkey.vouch(&world, &device)).await);

    let id = RequestId::from_bytes(random());
    let intent = Intent::UnlinkIdentity {
        id,
        identity: passkey.identity(),
    };
    let evidence = person.evidence(&world.ask(&person, intent));
    for _ in 0..2 {
        let message = InSession {
            evidence: evidence.clone(),
        };
        world
            .call::<Empty>(path::IDENTITY_UNLINK, &message)
            .await
            .unwrap();
    }
    world.restart().await;
    let device = Person::of(person.owner.clone());
    assert!(!lets_in(&world, &device, passkey.vouch(&world, &device)).await);
    let device = Person::of(other.owner.clone());
    assert!(lets_in(&world, &device, others.vouch(&world, &device)).await);
    // The same evidence does not unlink what was linked after it.
    link(&world, &person, passkey.make(&world, &person))
        .await
        .unwrap();
    let again = world
        .call::<Empty>(path::IDENTITY_UNLINK, &InSession { evidence })
        .await;
    assert_eq!(code(again), Code::NonceReused);
}

#[tokio::test]
async fn a_device_that_waits_unlinks_nothing() {
    let world = World::new().await;
    let (person, passkey) = with_passkey(&world).await;
    let second = Person::of(person.owner.clone());
    world
        .enrol_as(&second, &world.sign_in(&second), false)
        .await
        .unwrap();
    let refused = world.unlink(&second, passkey.identity()).await;
    assert_eq!(code(refused), Code::DevicePending);
    let plain = world.plain(&person, Operation::UnlinkIdentity);
    assert!(
        Intent::parse(&plain.intent.to_field()).is_err(),
        "an intent that does not say what is unlinked"
    );
}

/// The end of a sign-in up with a passkey that was made for it.
async fn sign_up(world: &World, named: bool) -> (Person, Authenticator) {
    let person = Person::new("app.example");
    let passkey = Authenticator::new();
    let made = passkey.make(world, &person);
    let id = RequestId::from_bytes(random());
    let proof = Proof::NewPasskey(made.registration.clone()).digest();
    let intent = if named {
        Intent::FinishSignIn { id, proof }
    } else {
        Intent::Plain {
            operation: Operation::SignInFinish,
            id,
        }
    };
    let ask = Ask {
        intent,
        ..world.sign_in(&person)
    };
    let mut items = person.items(&ask);
    items.push(Item::NewPasskey(made));
    let message = DeviceEnrol {
        account: person.owner.account,
        first_device: true,
        evidence: Evidence::new(items),
    };
    let ack: keyfold_protocol::holder_api::DeviceAck =
        world.call(path::DEVICE_ENROL, &message).await.unwrap();
    assert_eq!(ack.state, DeviceState::Active);
    (person, passkey)
}

#[tokio::test]
async fn the_passkey_of_a_sign_up_vouches_at_once_if_the_device_named_it() {
    let world = World::new().await;
    let (person, passkey) = sign_up(&world, true).await;
    let second = Person::of(person.owner);
    assert!(lets_in(&world, &second, passkey.vouch(&world, &second)).await);
}

#[tokio::test]
async fn what_only_the_enclave_says_is_the_accounts_waits_as_a_device_would() {
    let world = World::new().await;
    let (person, passkey) = sign_up(&world, false).await;
    let device = |_| Person::of(person.owner.clone());
    let [early, last_second, late] = [0, 1, 2].map(device);
    assert!(!lets_in(&world, &early, passkey.vouch(&world, &early)).await);
    world.advance_far(DAY - 1).await;
    let vouched = passkey.vouch(&world, &last_second);
    assert!(!lets_in(&world, &last_second, vouched).await);
    world.advance_far(1).await;
    assert!(lets_in(&world, &late, passkey.vouch(&world, &late)).await);
}

#[tokio::test]
async fn a_device_that_waits_binds_nothing_by_signing_in() {
    let world = World::new().await;
    let person = Person::new("app.example");
    world.enrol(&person).await.unwrap();
    let thief = Person::of(person.owner.clone());
    let passkey = Authenticator::new();
    let made = Item::NewPasskey(passkey.make(&world, &thief));
    assert!(!lets_in(&world, &thief, made).await);
    world.advance_far(DAY - 1).await;
    let second = Person::of(person.owner);
    assert!(!lets_in(&world, &second, passkey.vouch(&world, &second)).await);
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_identities() {
    let world = World::new().await;
    let person = Person::new("app.example");
    world.enrol(&person).await.unwrap();
    let mut first = None;
    for _ in 0..16 {
        let passkey = Authenticator::new();
        let shown = passkey.make(&world, &person);
        link(&world, &person, shown).await.unwrap();
        first.get_or_insert(passkey);
    }
    let shown = Authenticator::new().make(&world, &person);
    let refused = link(&world, &person, shown.clone()).await;
    assert_eq!(code(refused), Code::EvidenceInvalid);
    let first: Digest32 = first.unwrap().identity();
    world.unlink(&person, first).await.unwrap();
    assert!(link(&world, &person, shown).await.is_ok());
}

/// What a device shows at a sign-in, with an intent that names it.
async fn lets_in_named(world: &World, device: &Person, item: Item) -> bool {
    let Item::Passkey(shown) = &item else {
        panic!("not a passkey");
    };
    let id = RequestId::from_bytes(random());
    let proof = Proof::Passkey(shown.assertion.clone()).digest();
    let ask = Ask {
        intent: Intent::FinishSignIn { id, proof },
        ..world.sign_in(device)
    };
    let ack = world.enrol_showing(device, &ask, vec![item]).await.unwrap();
    ack.state == DeviceState::Active
}

#[tokio::test]
async fn what_a_device_had_bound_goes_with_it_until_another_one_names_it() {
    let mut world = World::new().await;
    let (owner, own) = with_passkey(&world).await;
    let thief = Person::of(owner.owner.clone());
    world.enrol(&thief).await.unwrap();
    approve(&world, &owner, &thief).await.unwrap();
    let planted = Authenticator::new();
    link(&world, &thief, planted.make(&world, &thief))
        .await
        .unwrap();
    revoke(&world, &owner, &thief).await.unwrap();
    world.restart().await;
    let next = Person::of(owner.owner.clone());
    assert!(!lets_in_named(&world, &next, planted.vouch(&world, &next)).await);
    // An enclave that lies shows it beside the sign-in of a device that did not name it.
    for device in [&owner, &next] {
        lets_in(&world, device, planted.vouch(&world, device)).await;
        assert!(!lets_in_named(&world, &next, planted.vouch(&world, &next)).await);
    }
    // The owner's goes on, and the other one comes back where its active device wants it.
    let third = Person::of(owner.owner.clone());
    assert!(lets_in(&world, &third, own.vouch(&world, &third)).await);
    assert!(lets_in_named(&world, &owner, planted.vouch(&world, &owner)).await);
    assert!(lets_in_named(&world, &next, planted.vouch(&world, &next)).await);
}

#[tokio::test]
async fn what_the_one_that_ends_all_others_stands_behind_goes_on_and_no_other() {
    let world = World::new().await;
    let (first, of_first) = with_passkey(&world).await;
    let device = |_| Person::of(first.owner.clone());
    let [second, third, fourth, fifth] = [0, 1, 2, 3].map(device);
    assert!(lets_in(&world, &second, of_first.vouch(&world, &second)).await);
    let of_second = Authenticator::new();
    link(&world, &second, of_second.make(&world, &second))
        .await
        .unwrap();
    revoke_others(&world, &second, &[]).await.unwrap();
    assert!(!lets_in_named(&world, &third, of_first.vouch(&world, &third)).await);
    assert!(lets_in(&world, &fourth, of_second.vouch(&world, &fourth)).await);
    // Shown by the one that is left and named, the first one's is as good as before, and stays so
    // when another that used it without naming it is taken off.
    assert!(lets_in_named(&world, &second, of_first.vouch(&world, &second)).await);
    assert!(lets_in(&world, &third, of_first.vouch(&world, &third)).await);
    revoke(&world, &second, &third).await.unwrap();
    assert!(lets_in(&world, &fifth, of_first.vouch(&world, &fifth)).await);
}
