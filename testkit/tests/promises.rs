//! Each promise of the design, attacked from outside, in one running system.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[macro_use]
mod common;
#[path = "promises/plaintext.rs"]
mod plaintext;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use alloy_primitives::Address;
use common::channel::{Channel, request_id};
use common::storage::{
    Snapshot, all_uses, forget_device, gateway_db, holder_db, open_seed_share, open_share, ring,
    sealed_versions, uses,
};
use common::{Cases, Part, Person, refused, told, until};
use keyfold_client::Wallet;
use keyfold_crypto::commitment::SharePurpose;
use keyfold_crypto::envelope::{KeyRing, MasterKey};
use keyfold_crypto::hash::hkdf_sha256;
use keyfold_crypto::secp256k1::SigningKey;
use keyfold_crypto::shamir::{CombineError, Share, Threshold, combine};
use keyfold_crypto::{Encoder, SecretBytes};
use keyfold_holder_service::HolderConfig;
use keyfold_protocol::client_api::path;
use keyfold_protocol::holder_api::DeviceState;
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_testkit::system::{ProjectOptions, System};
use plaintext::a_host_that_records_everything_finds_no_plaintext;
use serde_json::json;

const OTHER_APP: &str = "other.example";
const DEVICE_NAME: &str = "loopback";

struct World {
    system: System,
    alice: Person,
    wallet: Wallet,
}

#[test]
fn the_search_for_secrets_finds_them_however_they_are_written() {
    common::search::a_secret_is_found_however_it_is_written();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promises_hold_against_their_attacks() {
    let system = common::start(|options| {
        options.record_traffic = true;
        options.log = "debug".to_owned();
        options.projects.push(ProjectOptions::new(OTHER_APP, None));
    })
    .await;
    let alice = Person::sign_in(&system, system.project(), "alice@mail.example").await;
    let wallet = alice.wallet("alices wallet of this test").await;
    let world = World {
        system,
        alice,
        wallet,
    };
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &world,
        [
            an_attestation_of_app_a_is_refused_for_app_b,
            a_second_device_gets_no_share_until_the_first_approves_it,
            with_any_one_holder_stopped_a_signature_still_comes,
            two_stopped_holders_are_named_and_one_back_is_enough,
            a_killed_enclave_is_replaced_by_one_that_signs_for_the_same_wallet,
            an_enclave_killed_within_any_operation_loses_nothing,
            a_holder_killed_at_any_moment_loses_nothing,
            a_record_that_the_host_rolled_back_is_refused_until_the_newer_is_back,
            a_holder_that_was_rolled_back_is_outvoted,
            one_holders_whole_folder_and_the_host_make_no_key,
            an_attestation_for_a_device_that_holders_do_not_know_releases_nothing,
            a_host_that_records_everything_finds_no_plaintext,
        ]
    );
    cases.end(world.system).await;
}

async fn an_attestation_of_app_a_is_refused_for_app_b(world: &World) {
    let World { system, alice, .. } = world;
    let other = &system.projects()[1];
    // The same person and device at the other app is somebody else.
    let there = common::device(system, other, &alice.key);
    let session = system.sign_in(&there, other, &alice.email).await.unwrap();
    assert_ne!(
        session.account(),
        alice.session.account(),
        "apps can link their users"
    );
    let elsewhere = Person {
        email: alice.email.clone(),
        project: other.clone(),
        key: alice.key.clone(),
        device: there,
        session,
    };
    let wallet = elsewhere.wallet("elsewhere").await;
    let before = all_uses(system).await;

    let channel = Channel::open(system).await;
    let list = Intent::Plain {
        operation: Operation::ListWallets,
        id: request_id(),
    };
    // Everything is as B wants it, and signed, but the attestation is A's.
    let mut draft = channel.draft(&elsewhere, path::WALLET_LIST, &list, &json!({}));
    draft.attestation = alice.session.attestation();
    let reply = channel.send(&draft.signed(&alice.key)).await;
    assert_eq!(reply.code, "session_invalid", "{}", reply.summary());
    let mut draft = channel.message(&elsewhere, &wallet, "for app B");
    draft.attestation = alice.session.attestation();
    let reply = channel.send(&draft.signed(&alice.key)).await;
    assert_eq!(reply.code, "session_invalid", "{}", reply.summary());
    // And A's wallet cannot be named in B's session, nor B's in A's.
    let draft = channel.message(&elsewhere, &world.wallet, "for app A in a session of B");
    let reply = channel.send(&draft.signed(&alice.key)).await;
    assert_eq!(reply.code, "wallet_unknown", "{}", reply.summary());
    let draft = channel.message(alice, &wallet, "for app B in a session of A");
    let reply = channel.send(&draft.signed(&alice.key)).await;
    assert_eq!(reply.code, "wallet_unknown", "{}", reply.summary());
    assert_eq!(
        all_uses(system).await,
        before,
        "a holder released something"
    );

    elsewhere
        .must_sign(&wallet, "app B's own session signs")
        .await;
    alice.must_sign(&world.wallet, "app A's too").await;
}

async fn a_second_device_gets_no_share_until_the_first_approves_it(world: &World) {
    let World { system, alice, .. } = world;
    let second = Person::sign_in(system, &alice.project, &alice.email).await;
    assert_eq!(second.session.account(), alice.session.account());
    assert!(
        matches!(second.session.device_state(), DeviceState::Pending { .. }),
        "a code alone made a second device active: {:?}",
        second.session.device_state()
    );
    let before = all_uses(system).await;
    refused(
        second.sign(&world.wallet, "too early").await,
        "device_pending",
    );
    // It cannot let itself in, nor make keys, nor look at the list.
    let itself = second.session.device();
    refused(
        second.device.approve_device(&second.session, itself).await,
        "device_pending",
    );
    refused(
        second.device.create_wallet(&second.session, "sly").await,
        "device_pending",
    );
    refused(
        second.device.devices(&second.session).await,
        "device_pending",
    );
    // Signing in once more is no way around.
    let session = system
        .sign_in(&second.device, &alice.project, &alice.email)
        .await;
    let again = session.unwrap();
    let second = Person {
        session: again,
        ..second
    };
    refused(
        second.sign(&world.wallet, "still too early").await,
        "device_pending",
    );
    assert_eq!(
        all_uses(system).await,
        before,
        "a holder released something"
    );

    alice
        .device
        .approve_device(&alice.session, itself)
        .await
        .unwrap_or_else(|error| panic!("{}", told(&error)));
    second.must_sign(&world.wallet, "approved").await;
    second.device.renew(&second.session).await.unwrap();
    assert_eq!(second.session.device_state(), DeviceState::Active);
    let devices = alice.device.devices(&alice.session).await.unwrap();
    assert_eq!(devices.len(), 2);
    assert!(
        devices
            .iter()
            .all(|device| device.state == DeviceState::Active)
    );
}

async fn with_any_one_holder_stopped_a_signature_still_comes(world: &World) {
    for number in 0..3 {
        world.system.process(Part::Holder(number)).stop().await;
        world
            .alice
            .must_sign(&world.wallet, &format!("without holder {}", number + 1))
            .await;
        world
            .system
            .start_again(Part::Holder(number))
            .await
            .unwrap();
    }
    world.alice.must_sign(&world.wallet, "with all").await;
}

async fn two_stopped_holders_are_named_and_one_back_is_enough(world: &World) {
    let World { system, alice, .. } = world;
    system.process(Part::Holder(0)).stop().await;
    system.process(Part::Holder(1)).kill().await;
    let error = refused(
        alice.sign(&world.wallet, "one is too few").await,
        "holders_unavailable",
    );
    assert!(
        error.contains("holder-1") && error.contains("holder-2") && !error.contains("holder-3"),
        "it must name what is missing and nothing else: {error}"
    );
    // What changes or reads records says the same.
    let error = refused(
        alice.device.wallets(&alice.session).await,
        "holders_unavailable",
    );
    assert!(
        error.contains("holder-1") && error.contains("holder-2"),
        "{error}"
    );
    system.start_again(Part::Holder(1)).await.unwrap();
    alice.must_sign(&world.wallet, "two are enough").await;
    // A wallet needs them all, since a share that is missing could never be replaced.
    let error = refused(
        alice
            .device
            .create_wallet(&alice.session, "two of three")
            .await,
        "holders_unavailable",
    );
    assert!(
        error.contains("holder-1") && !error.contains("holder-2"),
        "{error}"
    );
    system.start_again(Part::Holder(0)).await.unwrap();
    alice.wallet("two of three").await;
}

async fn a_killed_enclave_is_replaced_by_one_that_signs_for_the_same_wallet(world: &World) {
    let World { system, alice, .. } = world;
    let before = alice.device.instances().await.unwrap();
    let pending = alice
        .device
        .start_email(&alice.project.id, "pending@mail.example")
        .await
        .unwrap();
    let code = system
        .mailbox()
        .wait("pending@mail.example", 0)
        .await
        .unwrap();

    system.process(Part::Enclave).kill().await;
    // While there is none, the error says so and nothing hangs.
    let error = alice
        .sign(&world.wallet, "nobody is there")
        .await
        .unwrap_err();
    assert!(
        [
            "unknown_instance",
            "no_instance",
            "unavailable",
            "not_ready"
        ]
        .contains(&error.code()),
        "{}",
        told(&error)
    );
    system.start_again(Part::Enclave).await.unwrap();
    let after = alice.device.instances().await.unwrap();
    assert!(after.iter().all(|instance| !before.contains(instance)));

    alice.must_sign(&world.wallet, "the new one signs").await;
    let known = alice.device.wallets(&alice.session).await.unwrap();
    assert!(
        known
            .iter()
            .any(|wallet| wallet.address() == world.wallet.address())
    );
    // The code that only the old one knew is gone with it.
    let gone = alice
        .device
        .finish_email(&pending, code.code().unwrap(), DEVICE_NAME)
        .await;
    refused(gone, "sign_in_gone");
}

/// Killed within the making of a wallet, which writes at holders and host, each time elsewhere.
async fn an_enclave_killed_within_any_operation_loses_nothing(world: &World) {
    let World { system, alice, .. } = world;
    let mut cut_off = 0;
    for after_ms in [0, 4, 8, 12, 16, 20, 28, 40] {
        let label = format!("cut off after {after_ms} ms");
        let create = || alice.device.create_wallet(&alice.session, &label);
        let kill = async {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            system.process(Part::Enclave).kill().await;
        };
        let (first, ()) = tokio::join!(create(), kill);
        system.start_again(Part::Enclave).await.unwrap();

        let wallet = create()
            .await
            .unwrap_or_else(|error| panic!("{}", told(&error)));
        match first {
            // What was answered before the end counts.
            Ok(told) => assert_eq!(told.address(), wallet.address()),
            Err(_) => cut_off += 1,
        }
        let known = alice.device.wallets(&alice.session).await.unwrap();
        let same = known.iter().filter(|known| known.label() == label);
        assert_eq!(
            same.count(),
            1,
            "one wallet, however often it was asked for"
        );
        alice.must_sign(&wallet, "after the cut").await;
    }
    assert!(cut_off > 0, "no making of a wallet was cut off");
    alice.must_sign(&world.wallet, "and the old one").await;
}

async fn a_holder_killed_at_any_moment_loses_nothing(world: &World) {
    let World { system, alice, .. } = world;
    let before = all_uses(system).await;
    let (ended, signed) = (AtomicBool::new(false), AtomicU32::new(0));
    let signing = async {
        while !ended.load(Ordering::Relaxed) {
            let number = signed.fetch_add(1, Ordering::Relaxed);
            alice
                .must_sign(&world.wallet, &format!("while one dies {number}"))
                .await;
        }
    };
    let killing = async {
        for round in 0..6_u64 {
            let number = usize::try_from(round % 3).unwrap();
            // Somewhere within a signature, each time elsewhere.
            tokio::time::sleep(Duration::from_millis(40 + round * 7)).await;
            system.process(Part::Holder(number)).kill().await;
            tokio::time::sleep(Duration::from_millis(30)).await;
            system.start_again(Part::Holder(number)).await.unwrap();
            // Two of three must have registered the enclave again before the next one dies.
            let had = signed.load(Ordering::Relaxed);
            until("signatures after a restart", || async {
                signed.load(Ordering::Relaxed) > had + 2
            })
            .await;
        }
        ended.store(true, Ordering::Relaxed);
    };
    tokio::join!(signing, killing);
    let after = all_uses(system).await;
    let signed = usize::try_from(signed.load(Ordering::Relaxed)).unwrap();
    // Each signature left an entry at t holders at least: no record, no use.
    let entries = after.iter().sum::<usize>() - before.iter().sum::<usize>();
    assert!(
        entries >= 2 * signed,
        "{signed} signatures, {entries} entries"
    );
    for (number, uses) in after.into_iter().enumerate() {
        let config = system.files().holder(number).join("holder.toml");
        let config = HolderConfig::load(&config).unwrap();
        // Checks every entry against the signed checkpoint.
        let status = keyfold_holder_service::status(&config).await.unwrap();
        assert!(status.log_entries >= u64::try_from(uses).unwrap());
    }
}

async fn a_record_that_the_host_rolled_back_is_refused_until_the_newer_is_back(world: &World) {
    let World { system, alice, .. } = world;
    let gateway = || system.process(Part::Gateway);
    let labels = async || -> Result<Vec<String>, keyfold_client::ClientError> {
        let wallets = alice.device.wallets(&alice.session).await?;
        Ok(wallets
            .iter()
            .map(|wallet| wallet.label().to_owned())
            .collect())
    };
    gateway().stop().await;
    let old = Snapshot::take(gateway_db(system));
    system.start_again(Part::Gateway).await.unwrap();
    alice.wallet("newer than the backup").await;
    gateway().stop().await;
    let new = Snapshot::take(gateway_db(system));

    old.put_back();
    system.start_again(Part::Gateway).await.unwrap();
    refused(labels().await, "record_rolled_back");
    // Nor may anything be built on the old version.
    refused(
        alice.device.create_wallet(&alice.session, "on sand").await,
        "record_rolled_back",
    );
    // An enclave without memory does not believe it either.
    system.process(Part::Enclave).kill().await;
    system.start_again(Part::Enclave).await.unwrap();
    refused(
        alice.sign(&world.wallet, "from an old record").await,
        "record_rolled_back",
    );

    gateway().stop().await;
    new.put_back();
    system.start_again(Part::Gateway).await.unwrap();
    let there = labels()
        .await
        .unwrap_or_else(|error| panic!("{}", told(&error)));
    assert!(
        there.iter().any(|label| label == "newer than the backup"),
        "{there:?}"
    );
    assert!(!there.iter().any(|label| label == "on sand"), "{there:?}");
    alice
        .must_sign(&world.wallet, "from the newer record")
        .await;
}

async fn a_holder_that_was_rolled_back_is_outvoted(world: &World) {
    let World { system, alice, .. } = world;
    system.process(Part::Holder(0)).stop().await;
    let old = Snapshot::take(holder_db(system, 0));
    system.start_again(Part::Holder(0)).await.unwrap();
    let newest = alice.wallet("newer than holder 1").await;
    system.process(Part::Holder(0)).stop().await;
    old.put_back();
    system.start_again(Part::Holder(0)).await.unwrap();

    // With the third one stopped too, its word stands against one, which cannot be confirmed: what
    // is old is not believed, and what is new waits.
    system.process(Part::Holder(2)).stop().await;
    refused(alice.device.wallets(&alice.session).await, "record_pending");
    system.start_again(Part::Holder(2)).await.unwrap();
    let wallets = alice
        .device
        .wallets(&alice.session)
        .await
        .unwrap_or_else(|error| panic!("{}", told(&error)));
    assert!(
        wallets
            .iter()
            .any(|wallet| wallet.address() == newest.address()),
        "an old anchor of one holder hid a wallet"
    );
    alice.must_sign(&world.wallet, "with an old holder").await;
    alice
        .must_sign(&newest, "without the share that the old one lost")
        .await;
}

async fn one_holders_whole_folder_and_the_host_make_no_key(world: &World) {
    let World {
        system,
        alice,
        wallet,
        ..
    } = world;
    let threshold = Threshold::new(2, 3).unwrap();
    let records = sealed_versions(system).await;
    assert!(records.len() >= 4, "there should be records to try");
    let (mut leaf, mut seeds) = (Vec::new(), Vec::new());
    for number in 0..3 {
        for purpose in [SharePurpose::LeafKey, SharePurpose::Entropy] {
            let share = open_share(system, number, alice, wallet, purpose)
                .await
                .share;
            assert_eq!(
                combine(threshold, &[&share]),
                Err(CombineError::TooFew { have: 1, need: 2 })
            );
            // The same share twice, or under another index, is no second share.
            let again = share.duplicate();
            assert_eq!(
                combine(threshold, &[&share, &again]),
                Err(CombineError::DuplicateIndex(share.index()))
            );
            if purpose == SharePurpose::LeafKey {
                let moved = Share::new(share.index() % 3 + 1, share.data().duplicate()).unwrap();
                assert_ne!(owner_of(threshold, &share, &moved), Some(wallet.owner()));
                let alone = SigningKey::from_secret_bytes(share.data());
                let alone = alone.ok().map(|key| Address::from(key.address()));
                assert_ne!(alone, Some(wallet.owner()), "a share is the key");
                leaf.push(share);
            }
        }
        let seed = open_seed_share(system, number).await.share;
        assert!(matches!(
            combine(threshold, &[&seed]),
            Err(CombineError::TooFew { .. })
        ));
        seeds.push(seed);
        // Its keys open none of the host's records.
        for record in &records {
            assert!(record.open(&ring(system, number)).is_none());
        }
    }
    // The attack itself is right: with t holders it works, as SECURITY.md says.
    for (one, two) in [(0, 1), (0, 2), (1, 2)] {
        assert_eq!(
            owner_of(threshold, &leaf[one], &leaf[two]),
            Some(wallet.owner())
        );
        let seed = combine(threshold, &[&seeds[one], &seeds[two]]).unwrap();
        let sealing = sealing_ring(&seed);
        assert!(records.iter().all(|record| record.open(&sealing).is_some()));
    }
}

/// The ring that seals a realm's records, derived from its seed as an enclave does.
fn sealing_ring(seed: &SecretBytes) -> KeyRing {
    let info = Encoder::new("keyfold/realm/sealing/v1").finish();
    KeyRing::new(MasterKey::new(
        seed.expose(|seed| hkdf_sha256(&[], seed, &info)),
    ))
}

fn owner_of(threshold: Threshold, one: &Share, two: &Share) -> Option<Address> {
    let secret = combine(threshold, &[one, two]).ok()?;
    let key = SigningKey::from_secret_bytes(&secret).ok()?;
    Some(Address::from(key.address()))
}

async fn an_attestation_for_a_device_that_holders_do_not_know_releases_nothing(world: &World) {
    let system = &world.system;
    // A genuine session and attestation, whose device the holders' lists do not have: what a
    // malicious enclave could mint at most.
    let person = Person::sign_in(system, system.project(), "minted@mail.example").await;
    let wallet = person.wallet("minted").await;
    person.must_sign(&wallet, "while it is known").await;
    for number in [0, 1] {
        system.process(Part::Holder(number)).stop().await;
        assert_eq!(forget_device(system, number, &person).await, 1);
        system.start_again(Part::Holder(number)).await.unwrap();
    }
    let before = [uses(system, 0).await, uses(system, 1).await];
    // One holder that knows it is fewer than t.
    refused(person.sign(&wallet, "known to one").await, "device_unknown");
    system.process(Part::Holder(2)).stop().await;
    assert_eq!(forget_device(system, 2, &person).await, 1);
    system.start_again(Part::Holder(2)).await.unwrap();
    let third = uses(system, 2).await;
    refused(
        person.sign(&wallet, "known to none").await,
        "device_unknown",
    );
    refused(
        person.device.create_wallet(&person.session, "more").await,
        "device_unknown",
    );
    refused(
        person
            .device
            .approve_device(&person.session, person.session.device())
            .await,
        "device_unknown",
    );
    // Asking for a fresh attestation does not bring it back onto the lists.
    refused(person.device.renew(&person.session).await, "device_unknown");
    refused(
        person.sign(&wallet, "still known to none").await,
        "device_unknown",
    );
    assert_eq!(
        [uses(system, 0).await, uses(system, 1).await],
        before,
        "a holder released something"
    );
    assert_eq!(uses(system, 2).await, third, "a holder released something");
}
