//! The end of a device, through every real process: what counts, when it counts, and that neither
//! the host's nor a holder's backup brings it back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[macro_use]
mod common;

use common::storage::{Snapshot, all_uses, gateway_db, holder_db};
use common::{Cases, Part, Person, refused, until};
use keyfold_client::client_api::Revocation;
use keyfold_client::{ClientError, Wallet};
use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::holder_api::DeviceState;
use keyfold_testkit::system::System;

struct World {
    system: System,
}

/// Somebody with a wallet, on a device of their own and one that another has now.
struct Pair {
    owner: Person,
    thief: Person,
    wallet: Wallet,
}

impl World {
    async fn pair(&self, email: &str) -> Pair {
        let system = &self.system;
        let owner = Person::sign_in(system, system.project(), email).await;
        let wallet = owner.wallet("main").await;
        let thief = Person::sign_in(system, system.project(), email).await;
        let (device, session) = (&owner.device, &owner.session);
        device
            .approve_device(session, thief.session.device())
            .await
            .unwrap();
        thief.device.renew(&thief.session).await.unwrap();
        thief.must_sign(&wallet, "before").await;
        Pair {
            owner,
            thief,
            wallet,
        }
    }
}

impl Pair {
    async fn revoke(&self) -> Result<Revocation, ClientError> {
        let device: Thumbprint = self.thief.session.device();
        let Person {
            device: by,
            session,
            ..
        } = &self.owner;
        by.revoke_device(session, device).await
    }

    /// The thief tries everything that made it a device, and the key is used for nobody.
    async fn assert_out(&self, system: &System) {
        let before = all_uses(system).await;
        let Person {
            device,
            session,
            project,
            email,
            ..
        } = &self.thief;
        let signed = self.thief.sign(&self.wallet, "after").await;
        refused(signed, "device_revoked");
        refused(device.renew(session).await, "device_revoked");
        refused(device.sessions(session).await, "device_revoked");
        let again = system.sign_in(device, project, email).await;
        let text = again.map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("taken off"), "{text}");
        assert_eq!(
            all_uses(system).await,
            before,
            "a holder released something"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_was_taken_off_stays_off() {
    let system = common::start(|_| ()).await;
    let world = World { system };
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &world,
        [
            too_few_holders_are_pending_and_with_one_back_it_counts,
            neither_the_hosts_nor_one_holders_backup_brings_it_back,
            all_others_go_and_the_owner_hears_of_it_by_mail,
        ]
    );
    cases.end(world.system).await;
}

async fn too_few_holders_are_pending_and_with_one_back_it_counts(world: &World) {
    let World { system } = world;
    let pair = world.pair("pending@mail.example").await;
    for number in [0, 2] {
        system.process(Part::Holder(number)).stop().await;
    }
    assert_eq!(pair.revoke().await.unwrap(), Revocation::Pending);
    system.start_again(Part::Holder(2)).await.unwrap();
    // Asked again with a holder still away: two of three is enough, and it counts.
    assert_eq!(pair.revoke().await.unwrap(), Revocation::Done);
    // The one that missed all of it is back, and does not help.
    system.start_again(Part::Holder(0)).await.unwrap();
    pair.assert_out(system).await;
    pair.owner
        .must_sign(&pair.wallet, "the owner goes on")
        .await;
    let devices = pair.owner.device.devices(&pair.owner.session).await;
    assert_eq!(devices.unwrap().len(), 1);
}

async fn neither_the_hosts_nor_one_holders_backup_brings_it_back(world: &World) {
    let World { system } = world;
    let pair = world.pair("backup@mail.example").await;
    let (gateway, holder) = (Part::Gateway, Part::Holder(1));
    for part in [gateway, holder] {
        system.process(part).stop().await;
    }
    let records = Snapshot::take(gateway_db(system));
    let lists = Snapshot::take(holder_db(system, 1));
    for part in [holder, gateway] {
        system.start_again(part).await.unwrap();
    }
    assert_eq!(pair.revoke().await.unwrap(), Revocation::Done);

    // The host brings back the records of before, to an enclave that remembers nothing.
    system.process(gateway).stop().await;
    let newer = Snapshot::take(gateway_db(system));
    records.put_back();
    system.start_again(gateway).await.unwrap();
    system.process(Part::Enclave).kill().await;
    system.start_again(Part::Enclave).await.unwrap();
    let before = all_uses(system).await;
    let outcome = pair
        .thief
        .sign(&pair.wallet, "by yesterday's records")
        .await;
    let error = outcome.unwrap_err();
    assert!(
        ["device_revoked", "record_rolled_back"].contains(&error.code()),
        "{error}"
    );
    assert_eq!(all_uses(system).await, before);
    system.process(gateway).stop().await;
    newer.put_back();
    system.start_again(gateway).await.unwrap();

    // And one holder its lists: it would let the device in, the others do not.
    system.process(holder).stop().await;
    lists.put_back();
    system.start_again(holder).await.unwrap();
    refused(
        pair.thief.sign(&pair.wallet, "by yesterday's lists").await,
        "device_revoked",
    );
    // Told again, it stores it anew.
    assert_eq!(pair.revoke().await.unwrap(), Revocation::Done);
    pair.assert_out(system).await;
    pair.owner
        .must_sign(&pair.wallet, "the owner goes on")
        .await;
}

async fn all_others_go_and_the_owner_hears_of_it_by_mail(world: &World) {
    let World { system } = world;
    let email = "mails@mail.example";
    let pair = world.pair(email).await;
    let waits = Person::sign_in(system, system.project(), email).await;
    assert!(matches!(
        waits.session.device_state(),
        DeviceState::Pending { .. }
    ));
    let (device, session) = (&pair.owner.device, &pair.owner.session);
    assert_eq!(device.sessions(session).await.unwrap().len(), 3);
    let state = device.revoke_other_devices(session).await.unwrap();
    assert_eq!(state, Revocation::Done);
    pair.assert_out(system).await;
    refused(waits.device.renew(&waits.session).await, "device_revoked");
    assert_eq!(device.sessions(session).await.unwrap().len(), 1);

    let notices = || system.mailbox().notices(email).unwrap();
    until("the owner heard of all of it", async || {
        notices().len() == 3
    })
    .await;
    let told = |subject: &str, device: Thumbprint| {
        let device = device.to_string();
        notices().iter().any(|mail| {
            let head = mail.text.split("\n\n").next().unwrap();
            let subject = format!("Subject: {subject}");
            head.lines().any(|line| line.starts_with(&subject)) && mail.text.contains(&device)
        })
    };
    let (thief, waits) = (pair.thief.session.device(), waits.session.device());
    assert!(told("A new device signed in to", thief));
    assert!(told("A new device signed in to", waits));
    assert!(told("All other devices were taken off", session.device()));
}
