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
        code(world.release(&person, &world.use_of(&person, &key)).await),
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
async fn a_key_that_exists_is_not_overwritten_by_anybody() {
    let world = World::new().await;
    let (owner, key) = world.person_with_key().await;
    assert_eq!(code(world.store(&owner, &key).await), Code::KeyExists);
    let thief = enrolled(&world).await;
    let stolen = Key {
        id: key.id,
        ..key_named(&world, &thief, &key)
    };
    assert_eq!(code(world.store(&thief, &stolen).await), Code::KeyExists);
    assert!(
        world
            .release(&owner, &world.use_of(&owner, &key))
            .await
            .is_ok()
    );
}

/// Shares of a key of that id for another account.
fn key_named(world: &World, person: &Person, key: &Key) -> Key {
    let mut other = world.new_key(person);
    for share in &mut other.shares {
        share.context.key = key.id.to_string();
        let data = Share::new(2, SecretBytes::from_slice(&[7; 32])).unwrap();
        let (data, commitment) = CommittedShare::new(&share.context, data, &mut rng()).unwrap();
        share.bytes = data.to_bytes().expose(<[u8]>::to_vec);
        share.commitment = commitment;
    }
    other
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
