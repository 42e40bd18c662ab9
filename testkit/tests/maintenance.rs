//! Shares that stay right: five holders whose shares are made anew while wallets sign and processes
//! are killed, and a drill that finds what is not right.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[macro_use]
mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::storage::holder_db;
use common::{Cases, Part, Person, told, until};
use keyfold_client::{ClientError, Wallet};
use keyfold_crypto::ed25519::SigningKey;
use keyfold_gateway_service as gateway;
use keyfold_gateway_service::{EnclaveCallError, Inbound};
use keyfold_protocol::gateway_api::{BadKey, DrillBatch, FailedKey, RefreshBatch};
use keyfold_protocol::ids::KeyId;
use keyfold_protocol::warrant::{SignedWarrant, Warrant, WarrantSignature};
use keyfold_storage::{Database, MasterKey};
use keyfold_testkit::system::System;
use serde_json::json;

const HOLDERS: usize = 5;
const THRESHOLD: usize = 3;
/// More than one batch.
const WALLETS: usize = 40;
/// As many as a project lets somebody have.
const PER_PERSON: usize = 16;

struct World {
    system: System,
    people: Vec<Person>,
    /// Each with whose it is.
    wallets: Vec<(usize, Wallet)>,
}

impl World {
    fn key(&self, at: usize) -> KeyId {
        self.wallets[at].1.key()
    }

    fn keys(&self) -> impl Iterator<Item = KeyId> {
        self.wallets.iter().map(|(_, wallet)| wallet.key())
    }

    async fn sign(&self, at: usize, text: &str) -> Result<(), ClientError> {
        let (person, wallet) = &self.wallets[at];
        self.people[*person].sign(wallet, text).await
    }

    async fn must_sign(&self, at: usize, why: &str) {
        if let Err(error) = self.sign(at, why).await {
            panic!("wallet {at} did not sign {why}: {}", told(&error));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_stay_right_whatever_happens_while_they_are_made_anew() {
    let system = common::start(|options| {
        options.holders = HOLDERS as u8;
        options.threshold = THRESHOLD as u8;
    })
    .await;
    let (mut people, mut wallets) = (Vec::new(), Vec::new());
    for number in 0..WALLETS {
        if number % PER_PERSON == 0 {
            let email = format!("person{number}@mail.example");
            people.push(Person::sign_in(&system, system.project(), &email).await);
        }
        let person = people.len() - 1;
        let wallet = people[person].wallet(&format!("wallet {number}")).await;
        wallets.push((person, wallet));
    }
    let world = World {
        system,
        people,
        wallets,
    };
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &world,
        [
            a_drill_finds_every_share_good_and_releases_nothing,
            a_warrant_that_too_few_signed_or_of_another_image_moves_nothing,
            every_key_gets_new_shares_and_none_of_the_old_is_left,
            a_refresh_that_is_killed_anywhere_goes_on_and_loses_no_signature,
            a_lost_share_is_named_and_a_refresh_brings_it_back,
            with_one_holder_away_keys_keep_their_shares_and_the_holder_is_named,
        ]
    );
    cases.end(world.system).await;
}

/// A warrant that the operators of these holders, counted from 0, signed.
async fn warrant(system: &System, generation: u32, by: &[usize]) -> SignedWarrant {
    let found = gateway::holders(&inbound(system)).await.unwrap();
    let approved = std::fs::read(system.files().approved()).unwrap();
    let approved: serde_json::Value = serde_json::from_slice(&approved).unwrap();
    let now = now();
    let warrant = json!({
        "version": 1,
        "realm": found.realm,
        "from": found.serial,
        "to": found.serial,
        "generation": generation,
        "image": approved[0]["pcr0"],
        "issued": now,
        "expires": now + 3_600,
    });
    let warrant: Warrant = serde_json::from_value(warrant).unwrap();
    SignedWarrant {
        signatures: by
            .iter()
            .map(|number| sign(system, &warrant, *number))
            .collect(),
        warrant,
    }
}

/// Signs as a holder's operator does, with what is in its folder.
fn sign(system: &System, warrant: &Warrant, number: usize) -> WarrantSignature {
    let file = system.files().holder(number).join("master.key");
    let master = MasterKey::load(&file).unwrap().to_envelope_key();
    let key = SigningKey::from_secret(&master.derive("keyfold/holder-signing-key/v1", b""));
    warrant.sign(u8::try_from(number + 1).unwrap(), &key)
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs()
}

fn inbound(system: &System) -> Inbound {
    Inbound::Socket(system.files().inbound())
}

/// What a whole refresh did.
#[derive(Debug, Default)]
struct Refreshed {
    keys: u32,
    failed: Vec<FailedKey>,
}

async fn refresh(system: &System, warrant: &SignedWarrant) -> Result<Refreshed, EnclaveCallError> {
    let mut batch = RefreshBatch {
        warrant: warrant.clone(),
        after: None,
    };
    let mut done = Refreshed::default();
    loop {
        let answer = gateway::refresh(&inbound(system), &batch).await?;
        done.keys += answer.refreshed;
        done.failed.extend(answer.failed);
        match answer.next {
            Some(next) => batch.after = Some(next),
            None => return Ok(done),
        }
    }
}

async fn drill(system: &System) -> (u32, Vec<BadKey>) {
    let (mut good, mut bad, mut after) = (0, Vec::new(), None);
    loop {
        let batch = DrillBatch { after };
        let answer = gateway::drill(&inbound(system), &batch).await.unwrap();
        good += answer.good;
        bad.extend(answer.bad);
        match answer.next {
            Some(next) => after = Some(next),
            None => return (good, bad),
        }
    }
}

/// The generations of a key's shares that a holder has and that did not end.
async fn generations(system: &System, number: usize, key: KeyId) -> BTreeSet<i64> {
    let database = Database::open(holder_db(system, number)).await.unwrap();
    let rows: Vec<i64> =
        sqlx::query_scalar("SELECT generation FROM shares WHERE key = ? AND ends IS NULL")
            .bind(key.as_bytes().to_vec())
            .fetch_all(database.readers())
            .await
            .unwrap();
    database.close().await;
    rows.into_iter().collect()
}

/// Every wallet signs, whichever holders answer first.
async fn all_sign(world: &World, why: &str) {
    for at in 0..WALLETS {
        world.must_sign(at, why).await;
    }
}

async fn a_drill_finds_every_share_good_and_releases_nothing(world: &World) {
    let before = common::storage::uses(&world.system, 0).await;
    let (good, bad) = drill(&world.system).await;
    assert_eq!(bad, []);
    assert_eq!(good as usize, WALLETS);
    assert_eq!(common::storage::uses(&world.system, 0).await, before);
}

async fn a_warrant_that_too_few_signed_or_of_another_image_moves_nothing(world: &World) {
    let system = &world.system;
    let few = warrant(system, 2, &[0, 1]).await;
    let mut twice = few.clone();
    twice.signatures.push(twice.signatures[0]);
    let mut altered = warrant(system, 2, &[0, 1, 2]).await;
    altered.warrant.generation = 3;
    for bad in [few, twice, altered] {
        match refresh(system, &bad).await {
            Err(EnclaveCallError::Refused(problem)) => {
                assert_eq!(problem.code.to_string(), "warrant_invalid");
            }
            other => panic!("{other:?}"),
        }
    }
    // For another image: the enclave could not tell, holders do.
    let mut other = warrant(system, 2, &[]).await;
    other.warrant.image[0] ^= 1;
    other.signatures = (0..THRESHOLD)
        .map(|number| sign(system, &other.warrant, number))
        .collect();
    let done = refresh(system, &other).await.unwrap();
    assert_eq!((done.keys, done.failed.len()), (0, WALLETS));
    let refused = |key: &FailedKey| key.detail.contains("warrant_invalid");
    assert!(done.failed.iter().all(refused), "{:?}", done.failed[0]);
    for key in world.keys() {
        assert_eq!(generations(system, 0, key).await, BTreeSet::from([1]));
    }
}

async fn every_key_gets_new_shares_and_none_of_the_old_is_left(world: &World) {
    let system = &world.system;
    let warrant = warrant(system, 2, &[4, 1, 3]).await;
    let done = refresh(system, &warrant).await.unwrap();
    assert_eq!(done.failed, []);
    assert_eq!(done.keys as usize, WALLETS);
    for number in 0..HOLDERS {
        for key in world.keys() {
            let left = generations(system, number, key).await;
            assert_eq!(left, BTreeSet::from([2]), "holder {number}");
        }
    }
    all_sign(world, "with new shares").await;
    // An instance that remembers none of it, too; and the same again does nothing.
    system.process(Part::Enclave).kill().await;
    system.start_again(Part::Enclave).await.unwrap();
    all_sign(world, "after a restart").await;
    let again = refresh(system, &warrant).await.unwrap();
    assert_eq!((again.keys, again.failed.len()), (0, 0));
}

async fn a_refresh_that_is_killed_anywhere_goes_on_and_loses_no_signature(world: &World) {
    let system = &world.system;
    let warrant_for = |generation| warrant(system, generation, &[0, 2, 4]);
    let (ended, signed) = (AtomicBool::new(false), AtomicU32::new(0));
    let load = async {
        let mut at = 0;
        while !ended.load(Ordering::Relaxed) {
            at = (at + 7) % WALLETS;
            // What is cut off with its enclave is asked for again; what is answered counts.
            match world.sign(at, "while shares change").await {
                Ok(()) => {
                    signed.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    let code = error.code();
                    let passing = ["key_unknown", "share_invalid", "internal"];
                    assert!(!passing.contains(&code), "{}", told(&error));
                }
            }
        }
    };
    let trouble = async {
        let mut cut_off = 0;
        for round in 0..12_u64 {
            // What one leaves behind the next one finds: shares of several generations.
            let warrant = warrant_for(3 + u32::try_from(round).unwrap()).await;
            let kill = async {
                tokio::time::sleep(Duration::from_millis(15 + round * 60)).await;
                let part = match round % 3 {
                    0 => Part::Enclave,
                    _ => Part::Holder(usize::try_from(round).unwrap() % HOLDERS),
                };
                system.process(part).kill().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                system.start_again(part).await.unwrap();
            };
            let (done, ()) = tokio::join!(refresh(system, &warrant), kill);
            cut_off += u32::from(done.is_err() || done.is_ok_and(|done| !done.failed.is_empty()));
            system.until_serving().await.unwrap();
        }
        assert!(cut_off > 2, "only {cut_off} refreshes were cut off");
        let warrant = warrant_for(20).await;
        until("a refresh to the end", || async {
            let done = refresh(system, &warrant).await;
            done.is_ok_and(|done| done.failed.is_empty())
        })
        .await;
        ended.store(true, Ordering::Relaxed);
    };
    tokio::join!(load, trouble);
    assert!(
        signed.load(Ordering::Relaxed) > 10,
        "hardly anything was signed"
    );
    for number in 0..HOLDERS {
        for key in world.keys() {
            let left = generations(system, number, key).await;
            assert_eq!(left, BTreeSet::from([20]), "holder {number}");
        }
    }
    all_sign(world, "after all that").await;
    let (good, bad) = drill(system).await;
    assert_eq!((good as usize, bad), (WALLETS, Vec::new()));
}

/// Damages a holder's share of a key, at rest.
async fn damage(system: &System, number: usize, key: KeyId) {
    system.process(Part::Holder(number)).stop().await;
    let database = Database::open(holder_db(system, number)).await.unwrap();
    let done = sqlx::query(
        "UPDATE sealed_shares SET sealed = zeroblob(length(sealed)) WHERE slot IN
            (SELECT slot FROM shares WHERE key = ? AND purpose = 3)",
    )
    .bind(key.as_bytes().to_vec())
    .execute(database.writer())
    .await
    .unwrap();
    assert!(done.rows_affected() > 0);
    database.close().await;
    system.start_again(Part::Holder(number)).await.unwrap();
}

async fn a_lost_share_is_named_and_a_refresh_brings_it_back(world: &World) {
    let system = &world.system;
    let key = world.key(5);
    for number in [1, 3] {
        damage(system, number, key).await;
    }
    system.until_serving().await.unwrap();
    let (good, bad) = drill(system).await;
    assert_eq!(good as usize, WALLETS - 1);
    assert_eq!(bad.len(), 1);
    assert_eq!(bad[0].key, key);
    assert_eq!(bad[0].without.len(), 2, "{:?}", bad[0].without);
    assert!(bad[0].usable, "three of three are left");
    world.must_sign(5, "by those that are left").await;

    let warrant = warrant(system, 21, &[0, 1, 2]).await;
    let done = refresh(system, &warrant).await.unwrap();
    assert_eq!(done.failed, []);
    let (good, bad) = drill(system).await;
    assert_eq!((good as usize, bad), (WALLETS, Vec::new()));
    all_sign(world, "with the share that came back").await;
}

async fn with_one_holder_away_keys_keep_their_shares_and_the_holder_is_named(world: &World) {
    let system = &world.system;
    let warrant = warrant(system, 22, &[0, 1, 2]).await;
    system.process(Part::Holder(4)).stop().await;
    let states = gateway::holders(&inbound(system)).await.unwrap();
    let troubled: Vec<u8> = states
        .holders
        .iter()
        .filter(|holder| holder.trouble.is_some())
        .map(|holder| holder.index)
        .collect();
    assert_eq!(troubled, [5]);
    let done = refresh(system, &warrant).await.unwrap();
    assert_eq!((done.keys, done.failed.len()), (0, WALLETS));
    let name = &states.holders[4].name;
    assert!(
        done.failed.iter().all(|key| key.detail.contains(name)),
        "{:?}",
        done.failed[0]
    );
    all_sign(world, "with one away").await;
    system.start_again(Part::Holder(4)).await.unwrap();
    system.until_serving().await.unwrap();
    until("the refresh", || async {
        let done = refresh(system, &warrant).await;
        done.is_ok_and(|done| done.failed.is_empty())
    })
    .await;
    all_sign(world, "with all of them").await;
}
