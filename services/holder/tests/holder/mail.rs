//! Mails for a device that may act are counted apart from those that strangers ask for.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceMailReserve, Empty, InSession, MailReserve, path};
use keyfold_protocol::ids::{Digest32, InstanceId, RequestId};
use keyfold_protocol::intent::{Intent, Operation};

use crate::world::{Answer, Ask, Person, World, code, random};

/// A request to begin a sign-in, as the device signs it.
fn begins(world: &World, person: &Person) -> Ask {
    Ask {
        attestation: None,
        ..world.plain(person, Operation::SignInStart)
    }
}

async fn mail_by(world: &World, person: &Person, ask: &Ask) -> Answer<Empty> {
    let message = DeviceMailReserve {
        account: person.owner.account,
        evidence: person.evidence(ask),
    };
    world.call(path::MAIL_RESERVE_DEVICE, &message).await
}

async fn mail(world: &World, person: &Person) -> Answer<Empty> {
    mail_by(world, person, &begins(world, person)).await
}

async fn strangers_mail(world: &World, project: &str) -> Answer<Empty> {
    let message = MailReserve {
        project: project.parse().unwrap(),
        address: Digest32::from_bytes([1; 32]),
    };
    world.call(path::MAIL_RESERVE, &message).await
}

async fn approve(world: &World, by: &Person, target: &Person) {
    let intent = Intent::ApproveDevice {
        id: RequestId::from_bytes(random()),
        device: target.thumbprint(),
    };
    let evidence = by.evidence(&world.ask(by, intent));
    let message = InSession { evidence };
    let _: keyfold_protocol::holder_api::DeviceAck =
        world.call(path::DEVICE_APPROVE, &message).await.unwrap();
}

async fn limited() -> World {
    World::with(|config| {
        config.mails_per_address_per_hour = 2;
        config.mails_per_address_per_day = 3;
        config.mails_per_address_total_per_day = Some(4);
    })
    .await
}

#[tokio::test]
async fn strangers_leave_a_device_that_may_act_its_mails() {
    let world = limited().await;
    let owner = Person::new("app.example");
    world.enrol(&owner).await.unwrap();
    for project in ["app.example", "app.example", "b.example", "b.example"] {
        strangers_mail(&world, project).await.unwrap();
    }
    for project in ["app.example", "c.example"] {
        let refused = strangers_mail(&world, project).await;
        assert_eq!(code(refused), Code::MailLimit);
    }
    for _ in 0..2 {
        mail(&world, &owner).await.unwrap();
    }
    // And what the device has is no more than that, nor is it taken from anybody else.
    assert_eq!(code(mail(&world, &owner).await), Code::MailLimit);
    let other = Person::new("app.example");
    world.enrol(&other).await.unwrap();
    mail(&world, &other).await.unwrap();
}

#[tokio::test]
async fn a_device_uses_up_its_own_mails_and_an_account_has_an_end_too() {
    let mut world = limited().await;
    let first = Person::new("app.example");
    world.enrol(&first).await.unwrap();
    let others: Vec<Person> = (0..2).map(|_| Person::of(first.owner.clone())).collect();
    for other in &others {
        world.enrol(other).await.unwrap();
        approve(&world, &first, other).await;
    }
    for _ in 0..2 {
        mail(&world, &first).await.unwrap();
    }
    assert_eq!(code(mail(&world, &first).await), Code::MailLimit);
    world.restart().await;
    assert_eq!(code(mail(&world, &first).await), Code::MailLimit);
    mail(&world, &others[0]).await.unwrap();
    world.advance_far(3_600).await;
    mail(&world, &first).await.unwrap();
    // Four in all today.
    for person in [&first, &others[0], &others[1]] {
        assert_eq!(code(mail(&world, person).await), Code::MailLimit);
    }
    world.advance_far(86_400).await;
    mail(&world, &others[1]).await.unwrap();
}

#[tokio::test]
async fn only_a_device_that_may_act_has_mails_of_its_own() {
    let world = World::new().await;
    let owner = Person::new("app.example");
    let stranger = Person::of(owner.owner.clone());
    assert_eq!(code(mail(&world, &stranger).await), Code::DeviceUnknown);
    world.enrol(&owner).await.unwrap();
    world.enrol(&stranger).await.unwrap();
    // Whoever reads the mail has a device that waits, and no more than a stranger.
    assert_eq!(code(mail(&world, &stranger).await), Code::DevicePending);
    let elsewhere = owner.in_account(Person::new("app.example").owner);
    assert_eq!(code(mail(&world, &elsewhere).await), Code::DeviceUnknown);
    mail(&world, &owner).await.unwrap();
}

#[tokio::test]
async fn a_request_counts_once_and_only_one_that_begins_a_sign_in() {
    let world = World::new().await;
    let owner = Person::new("app.example");
    world.enrol(&owner).await.unwrap();
    let ask = begins(&world, &owner);
    mail_by(&world, &owner, &ask).await.unwrap();
    let again = mail_by(&world, &owner, &ask).await;
    assert_eq!(code(again), Code::NonceReused);
    let finishes = world.sign_in(&owner);
    let refused = mail_by(&world, &owner, &finishes).await;
    assert_eq!(code(refused), Code::IntentMismatch);
    let elsewhere = Ask {
        instance: InstanceId::from_bytes(random()),
        ..begins(&world, &owner)
    };
    let refused = mail_by(&world, &owner, &elsewhere).await;
    assert_eq!(code(refused), Code::EvidenceInvalid);
    // Signed by somebody else: the list is asked for whoever signed.
    let thief = Person::of(owner.owner.clone());
    let message = DeviceMailReserve {
        account: owner.owner.account,
        evidence: thief.evidence(&begins(&world, &owner)),
    };
    let refused = world
        .call::<Empty>(path::MAIL_RESERVE_DEVICE, &message)
        .await;
    assert_eq!(code(refused), Code::DeviceUnknown);
    // And what begins a sign-in enrols nobody.
    let newcomer = Person::of(owner.owner.clone());
    let enrolled = world
        .enrol_with(&newcomer, &begins(&world, &newcomer))
        .await;
    assert_eq!(code(enrolled), Code::IntentMismatch);
}
