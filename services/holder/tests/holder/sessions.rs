//! Sessions end when they are ended, everywhere; mails are counted before there is one.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceAck, DeviceState, Empty, InSession, MailReserve, path};
use keyfold_protocol::ids::{Digest32, SessionId};
use keyfold_protocol::intent::Operation;

use crate::world::{Answer, Person, World, code, random};

async fn in_session<T: serde::de::DeserializeOwned>(
    world: &World,
    person: &Person,
    to: &str,
    operation: Operation,
) -> Answer<T> {
    let evidence = person.evidence(&world.plain(person, operation));
    world.call(to, &InSession { evidence }).await
}

async fn check(world: &World, person: &Person) -> Answer<DeviceAck> {
    in_session(world, person, path::SESSION_CHECK, Operation::Renew).await
}

async fn revoke(world: &World, person: &Person) -> Answer<Empty> {
    in_session(world, person, path::SESSION_REVOKE, Operation::SignOut).await
}

async fn mail(world: &World, project: &str, address: u8) -> Answer<Empty> {
    let message = MailReserve {
        project: project.parse().unwrap(),
        address: Digest32::from_bytes([address; 32]),
    };
    world.call(path::MAIL_RESERVE, &message).await
}

#[tokio::test]
async fn a_revoked_session_opens_nothing_any_more_and_others_go_on() {
    let world = World::new().await;
    let (mut person, key) = world.person_with_key().await;
    check(&world, &person).await.unwrap();
    revoke(&world, &person).await.unwrap();
    assert_eq!(code(check(&world, &person).await), Code::SessionRevoked);
    let release = world
        .release(&person, &key, &world.use_of(&person, &key))
        .await;
    assert_eq!(code(release), Code::SessionRevoked);
    let store = world.store(&person, &world.new_key(&person)).await;
    assert_eq!(code(store), Code::SessionRevoked);
    person.session = SessionId::from_bytes(random());
    assert!(
        world
            .release(&person, &key, &world.use_of(&person, &key))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_revocation_may_be_repeated_and_reaches_holders_that_missed_the_device() {
    let mut world = World::new().await;
    let missed = Person::new("app.example");
    revoke(&world, &missed).await.unwrap();
    revoke(&world, &missed).await.unwrap();
    world.restart().await;
    world.enrol(&missed).await.unwrap();
    assert_eq!(code(check(&world, &missed).await), Code::SessionRevoked);
}

#[tokio::test]
async fn a_revocation_whose_answer_was_lost_is_confirmed_when_it_comes_again() {
    let world = World::new().await;
    let (person, _) = world.person_with_key().await;
    let ask = world.plain(&person, Operation::SignOut);
    let message = InSession {
        evidence: person.evidence(&ask),
    };
    for _ in 0..2 {
        world
            .call::<Empty>(path::SESSION_REVOKE, &message)
            .await
            .unwrap();
    }
    // A nonce that was spent for something else is good for nothing.
    let mut person = person;
    person.session = SessionId::from_bytes(random());
    let renew = world.plain(&person, Operation::Renew);
    let evidence = person.evidence(&renew);
    world
        .call::<DeviceAck>(path::SESSION_CHECK, &InSession { evidence })
        .await
        .unwrap();
    let evidence = person.evidence(&crate::world::Ask {
        nonce: renew.nonce,
        ..world.plain(&person, Operation::SignOut)
    });
    let refused = world
        .call::<Empty>(path::SESSION_REVOKE, &InSession { evidence })
        .await;
    assert_eq!(code(refused), Code::NonceReused);
    assert!(check(&world, &person).await.is_ok());
}

#[tokio::test]
async fn a_session_of_another_account_is_not_ended() {
    let world = World::new().await;
    let (victim, _) = world.person_with_key().await;
    let mut other = Person::new("app.example");
    other.session = victim.session;
    revoke(&world, &other).await.unwrap();
    assert!(check(&world, &victim).await.is_ok());
}

#[tokio::test]
async fn operations_are_not_taken_for_one_another() {
    let world = World::new().await;
    let (person, _) = world.person_with_key().await;
    for (to, operation) in [
        (path::SESSION_REVOKE, Operation::Renew),
        (path::SESSION_CHECK, Operation::SignOut),
        (path::SESSION_CHECK, Operation::ListDevices),
        (path::DEVICE_LIST, Operation::Renew),
        (path::DEVICE_APPROVE, Operation::ListDevices),
    ] {
        let answer = in_session::<serde_json::Value>(&world, &person, to, operation).await;
        assert_eq!(code(answer), Code::IntentMismatch, "{to}");
    }
    for operation in [Operation::Renew, Operation::IssueIdToken] {
        let asked = in_session::<DeviceAck>(&world, &person, path::SESSION_CHECK, operation);
        asked.await.unwrap();
    }
}

#[tokio::test]
async fn mails_to_one_address_are_limited_by_the_hour_and_by_the_day() {
    let world = World::with(|config| {
        config.mails_per_address_per_hour = 5;
        config.mails_per_address_per_day = 8;
    })
    .await;
    for _ in 0..5 {
        mail(&world, "app.example", 1).await.unwrap();
    }
    assert_eq!(code(mail(&world, "app.example", 1).await), Code::MailLimit);
    // Another address is another mailbox.
    mail(&world, "app.example", 2).await.unwrap();
    world.advance_far(3_600).await;
    for _ in 0..3 {
        mail(&world, "app.example", 1).await.unwrap();
    }
    assert_eq!(code(mail(&world, "app.example", 1).await), Code::MailLimit);
    world.advance_far(86_400).await;
    mail(&world, "app.example", 1).await.unwrap();
}

#[tokio::test]
async fn a_foreign_project_locks_nobody_out_and_all_together_flood_nobody() {
    let world = World::with(|config| {
        config.mails_per_address_per_hour = 2;
        config.mails_per_address_per_day = 4;
        config.mails_per_address_total_per_day = Some(5);
    })
    .await;
    for _ in 0..2 {
        mail(&world, "foreign.example", 1).await.unwrap();
    }
    let refused = mail(&world, "foreign.example", 1).await;
    assert_eq!(code(refused), Code::MailLimit);
    for project in ["app.example", "app.example", "third.example"] {
        mail(&world, project, 1).await.unwrap();
    }
    let one_too_many = mail(&world, "fourth.example", 1).await;
    assert_eq!(code(one_too_many), Code::MailLimit);
    mail(&world, "fourth.example", 2).await.unwrap();
    world.advance_far(86_399).await;
    assert!(mail(&world, "fourth.example", 1).await.is_err());
    world.advance_far(1).await;
    mail(&world, "fourth.example", 1).await.unwrap();
    // Housekeeping forgets nothing that still counts.
    world.holder.purge().await.unwrap();
    mail(&world, "fourth.example", 1).await.unwrap();
    let refused = mail(&world, "fourth.example", 1).await;
    assert_eq!(code(refused), Code::MailLimit);
}

#[tokio::test]
async fn a_restart_forgets_no_mail() {
    let mut world = World::with(|config| config.mails_per_address_per_hour = 2).await;
    mail(&world, "app.example", 1).await.unwrap();
    mail(&world, "app.example", 1).await.unwrap();
    world.restart().await;
    assert_eq!(code(mail(&world, "app.example", 1).await), Code::MailLimit);
}

#[tokio::test]
async fn a_device_that_waits_keeps_its_session_and_is_told_that_it_waits() {
    let world = World::new().await;
    let first = Person::new("app.example");
    world.enrol(&first).await.unwrap();
    let second = Person::of(first.owner.clone());
    let state = world.enrol(&second).await.unwrap().state;
    let ack = check(&world, &second).await.unwrap();
    assert!(ack.verify(world.realm()));
    assert_eq!((ack.device, ack.state), (second.thumbprint(), state));
    assert_eq!(
        check(&world, &first).await.unwrap().state,
        DeviceState::Active
    );
    let stranger = Person::of(first.owner);
    assert_eq!(code(check(&world, &stranger).await), Code::DeviceUnknown);
}
