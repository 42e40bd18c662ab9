//! What is taken in: shares that open, match, and belong to a new key of the account that asks.

use keyfold_crypto::SecretBytes;
use keyfold_crypto::commitment::{CommittedShare, SharePurpose};
use keyfold_crypto::shamir::Share;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{Empty, ShareStore, StoredShare, path};
use keyfold_protocol::intent::Operation;

use crate::world::{Answer, Enclave, Key, Person, World, code, rng};

async fn send(world: &World, message: &ShareStore) -> Answer<Empty> {
    world.call(path::SHARE_STORE, message).await
}

async fn enrolled(world: &World) -> Person {
    let person = Person::new("app.example");
    world.enrol(&person).await.unwrap();
    person
}

fn sealed_by(world: &World, enclave: &Enclave, key: &Key, at: usize, bytes: &[u8]) -> StoredShare {
    let share = &key.shares[at];
    StoredShare {
        purpose: share.context.purpose,
        share: enclave.seal(&world.holder.card().hpke_key, &share.context, bytes),
        commitment: share.commitment,
    }
}

#[tokio::test]
async fn an_altered_share_or_commitment_is_refused_and_nothing_is_kept() {
    let world = World::new().await;
    let person = enrolled(&world).await;
    let key = world.new_key(&person);
    let good = world.share_store(&person, &key);

    let mut altered_bytes = key.leaf().bytes.clone();
    *altered_bytes.last_mut().unwrap() ^= 1;
    let altered = sealed_by(&world, &world.enclave, &key, 1, &altered_bytes);
    let empty = sealed_by(&world, &world.enclave, &key, 1, b"");
    let mut commitment = good.shares[1].clone();
    commitment.commitment.0[0] ^= 1;
    for bad in [altered, empty, commitment] {
        let mut message = world.share_store(&person, &key);
        message.shares[1] = bad;
        assert_eq!(code(send(&world, &message).await), Code::EvidenceInvalid);
    }

    let mut cut = good.shares[1].clone();
    cut.share.0.truncate(40);
    let mut flipped = good.shares[1].clone();
    flipped.share.0[50] ^= 1;
    let elsewhere = Enclave::new(Some(world.realm_id()));
    let other_instance = sealed_by(&world, &elsewhere, &key, 1, &key.leaf().bytes);
    let other_key = {
        let other = world.new_key(&person);
        sealed_by(&world, &world.enclave, &other, 1, &other.leaf().bytes)
    };
    let other_owner = {
        let other = world.new_key(&Person::new("app.example"));
        sealed_by(
            &world,
            &world.enclave,
            &Key {
                id: key.id,
                ..other
            },
            1,
            &key.leaf().bytes,
        )
    };
    for bad in [cut, flipped, other_instance, other_key, other_owner] {
        let mut message = world.share_store(&person, &key);
        message.shares[1] = bad;
        assert_eq!(code(send(&world, &message).await), Code::SealBroken);
    }
    assert_eq!(
        code(
            world
                .release(&person, &key, &world.use_of(&person, &key))
                .await
        ),
        Code::KeyUnknown
    );
    assert!(send(&world, &good).await.is_ok());
}

#[tokio::test]
async fn a_share_of_another_index_is_refused() {
    let world = World::new().await;
    let person = enrolled(&world).await;
    let mut key = world.new_key(&person);
    // Another holder's share, genuinely committed to, under this holder's name.
    let share = Share::new(1, SecretBytes::from_slice(&[7; 32])).unwrap();
    let mut context = key.leaf().context.clone();
    context.index = 1;
    let (share, commitment) = CommittedShare::new(&context, share, &mut rng()).unwrap();
    key.shares[1].bytes = share.to_bytes().expose(<[u8]>::to_vec);
    key.shares[1].commitment = commitment;
    assert_eq!(
        code(world.store(&person, &key).await),
        Code::EvidenceInvalid
    );
}

#[tokio::test]
async fn a_key_that_was_used_or_is_anothers_is_not_stored_again() {
    let world = World::new().await;
    let (owner, key) = world.person_with_key().await;
    let thief = enrolled(&world).await;
    let stolen = world.attempt(&thief, &key);
    assert_eq!(code(world.store(&thief, &stolen).await), Code::KeyExists);
    let release = |key| {
        let ask = world.use_of(&owner, key);
        let world = &world;
        let owner = &owner;
        async move { world.release(owner, key, &ask).await }
    };
    assert!(release(&key).await.is_ok());
    let late = world.attempt(&owner, &key);
    for again in [&late, &key] {
        assert_eq!(code(world.store(&owner, again).await), Code::KeyExists);
    }
    assert!(release(&key).await.is_ok());
    assert_eq!(code(release(&late).await), Code::KeyUnknown);
}

#[tokio::test]
async fn a_key_whose_making_was_cut_off_is_made_again_and_each_attempt_keeps_its_share() {
    let world = World::new().await;
    let (owner, first) = world.person_with_key().await;
    let second = world.attempt(&owner, &first);
    world.store(&owner, &second).await.unwrap();
    world.store(&owner, &second).await.unwrap();
    // The record names one of them; here both are asked for, to see that neither is lost.
    for key in [&first, &second] {
        let ask = world.use_of(&owner, key);
        let released = world.release(&owner, key, &ask).await.unwrap();
        let digest = ask.intent.key_use().unwrap().digest;
        let (context, request) = (&key.leaf().context, ask.intent.request_id());
        let share = world
            .enclave
            .open(context, request, digest, &released.share);
        share.verify(context, &key.leaf().commitment).unwrap();
    }
    let third = world.attempt(&owner, &first);
    let ask = world.use_of(&owner, &third);
    assert_eq!(
        code(world.release(&owner, &third, &ask).await),
        Code::KeyUnknown
    );
}

#[tokio::test]
async fn failed_attempts_use_up_neither_the_account_nor_the_key_for_good() {
    let world = World::new().await;
    let owner = enrolled(&world).await;
    let first = world.new_key(&owner);
    world.store(&owner, &first).await.unwrap();
    world.advance(1);
    let mut last = world.attempt(&owner, &first);
    for _ in 1..32 {
        last = world.attempt(&owner, &first);
        world.store(&owner, &last).await.unwrap();
    }
    let one_more = world.attempt(&owner, &first);
    let full = world.store(&owner, &one_more).await;
    assert_eq!(code(full), Code::WalletLimit);
    // Other keys of the account are not concerned.
    world.store(&owner, &world.new_key(&owner)).await.unwrap();
    world.advance_far(86_398).await;
    let full = world.store(&owner, &one_more).await;
    assert_eq!(code(full), Code::WalletLimit);
    world.advance_far(1).await;
    world.store(&owner, &one_more).await.unwrap();
    // The oldest made room.
    for (key, kept) in [(&first, false), (&last, true), (&one_more, true)] {
        let ask = world.use_of(&owner, key);
        let released = world.release(&owner, key, &ask).await;
        assert_eq!(released.is_ok(), kept);
    }
}

#[tokio::test]
async fn a_set_of_shares_that_is_not_one_of_a_new_key_is_refused() {
    let world = World::new().await;
    let person = enrolled(&world).await;
    let key = world.new_key(&person);
    type Change = fn(&mut ShareStore);
    let changes: [(&str, Change); 7] = [
        ("no shares", |m| m.shares.clear()),
        ("entropy alone", |m| m.shares.truncate(1)),
        ("leaf twice", |m| m.shares[0] = m.shares[1].clone()),
        ("entropy twice", |m| m.shares.push(m.shares[0].clone())),
        ("a seed", |m| m.shares[0].purpose = SharePurpose::Seed),
        ("generation 0", |m| m.generation = 0),
        ("generation 2", |m| m.generation = 2),
    ];
    for (what, change) in changes {
        let mut message = world.share_store(&person, &key);
        change(&mut message);
        assert_eq!(
            code(send(&world, &message).await),
            Code::MalformedRequest,
            "{what}"
        );
    }
    let mut swapped = world.share_store(&person, &key);
    swapped.shares[0].purpose = SharePurpose::LeafKey;
    swapped.shares[1].purpose = SharePurpose::Entropy;
    assert_eq!(code(send(&world, &swapped).await), Code::SealBroken);
}

#[tokio::test]
async fn only_an_active_device_that_asks_for_a_wallet_stores() {
    let world = World::new().await;
    let (owner, _) = world.person_with_key().await;
    let key = world.new_key(&owner);
    let stranger = Person::of(owner.owner.clone());
    assert_eq!(
        code(world.store(&stranger, &key).await),
        Code::DeviceUnknown
    );
    world.enrol(&stranger).await.unwrap();
    assert_eq!(
        code(world.store(&stranger, &key).await),
        Code::DevicePending
    );
    let mut message = world.share_store(&owner, &key);
    message.evidence = owner.evidence(&world.plain(&owner, Operation::Renew));
    assert_eq!(code(send(&world, &message).await), Code::IntentMismatch);
}

#[tokio::test]
async fn an_account_has_at_most_64_keys() {
    let world = World::new().await;
    let person = enrolled(&world).await;
    for _ in 0..64 {
        world.store(&person, &world.new_key(&person)).await.unwrap();
    }
    assert_eq!(
        code(world.store(&person, &world.new_key(&person)).await),
        Code::WalletLimit
    );
    let other = enrolled(&world).await;
    assert!(world.store(&other, &world.new_key(&other)).await.is_ok());
}
