//! What is no warrant opens nothing.

use keyfold_crypto::ed25519::SigningKey;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::path;
use keyfold_protocol::ids::{Digest32, RealmId};
use keyfold_protocol::maintenance::{Drill, Drilled, HandedOver, KeyPage, KeyQuery};
use keyfold_protocol::warrant::{SignedWarrant, Warrant, WarrantSignature};

use crate::world::{Answer, Dealt, Enclave, World, code, rng};

/// Tries both doors that a warrant opens.
async fn refused(world: &World, warrant: &SignedWarrant, old: &Dealt, new: &Dealt) -> [Code; 2] {
    let out: Answer<HandedOver> = world.hand_over(warrant, vec![old.part()]).await;
    [code(out), code(world.take_over(warrant, &[new]).await)]
}

#[tokio::test]
async fn a_warrant_of_too_few_holders_opens_nothing() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let new = world.redeal(&old, 2);
    let good = world.allowed(2);
    let [first, third] = [good.signatures[0], good.signatures[1]];
    let stranger = good.warrant.sign(3, &SigningKey::generate(&mut rng()));
    let of = |signatures: Vec<WarrantSignature>| SignedWarrant {
        warrant: good.warrant.clone(),
        signatures,
    };
    for (what, bad) in [
        ("nobody", of(vec![])),
        ("one of two", of(vec![first])),
        ("one twice", of(vec![first, first])),
        (
            "one under two names",
            of(vec![first, WarrantSignature { holder: 3, ..first }]),
        ),
        ("a stranger's key", of(vec![first, stranger])),
        (
            "no such holder",
            of(vec![first, WarrantSignature { holder: 4, ..third }]),
        ),
        ("more than there are holders", of(vec![first; 33])),
    ] {
        let codes = refused(&world, &bad, &old, &new).await;
        assert_eq!(codes, [Code::WarrantInvalid; 2], "{what}");
    }
    // One that does not verify takes nothing from the others.
    let more = of(vec![stranger, first, third]);
    world.hand_over(&more, vec![old.part()]).await.unwrap();
    world.take_over(&more, &[&new]).await.unwrap();
}

#[tokio::test]
async fn a_warrant_for_another_place_or_time_opens_nothing() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let new = world.redeal(&old, 2);
    let now = world.now();
    type Change = fn(&mut Warrant, u64);
    let changes: [(&str, Change); 9] = [
        ("another version", |w, _| w.version = 2),
        ("another realm", |w, _| {
            w.realm = RealmId::from_bytes([1; 32])
        }),
        ("other holders before", |w, _| w.from = 2),
        ("other holders after", |w, _| w.to = 2),
        ("no later generation", |w, _| w.generation = 1),
        ("another image", |w, _| w.image = [0xb0; 48]),
        ("expired", |w, now| w.expires = now),
        ("from the future", |w, now| w.issued = now + 301),
        ("31 days long", |w, now| w.expires = now + 31 * 86_400),
    ];
    for (what, change) in changes {
        let mut warrant = world.warrant(2);
        change(&mut warrant, now);
        let codes = refused(&world, &world.signed(warrant), &old, &new).await;
        assert_eq!(codes, [Code::WarrantInvalid; 2], "{what}");
    }
    let mut longest = world.warrant(2);
    (longest.issued, longest.expires) = (now + 300, now + 300 + 30 * 86_400);
    let longest = world.signed(longest);
    world.hand_over(&longest, vec![old.part()]).await.unwrap();
    world.take_over(&longest, &[&new]).await.unwrap();
}

#[tokio::test]
async fn a_warrant_that_was_altered_after_signing_opens_nothing() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let good = world.allowed(2);
    type Change = fn(&mut Warrant);
    let changes: [(&str, Change); 3] = [
        ("generation", |w| w.generation = 3),
        ("issued", |w| w.issued -= 1),
        ("expires", |w| w.expires += 1),
    ];
    for (what, change) in changes {
        let mut altered = good.clone();
        change(&mut altered.warrant);
        let new = world.redeal(&old, altered.warrant.generation);
        let codes = refused(&world, &altered, &old, &new).await;
        assert_eq!(codes, [Code::WarrantInvalid; 2], "{what}");
    }
}

#[tokio::test]
async fn a_warrant_ends_by_the_holders_own_clock() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let new = world.redeal(&old, 2);
    let warrant = world.allowed(2);
    world.advance_far(86_399).await;
    world.hand_over(&warrant, vec![old.part()]).await.unwrap();
    world.advance(1);
    let codes = refused(&world, &warrant, &old, &new).await;
    assert_eq!(codes, [Code::WarrantInvalid; 2]);
}

#[tokio::test]
async fn maintenance_is_for_registered_instances_of_the_realm() {
    let mut world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let new = world.redeal(&old, 2);
    let warrant = world.allowed(2);
    let unregistered = Enclave::new(Some(world.realm_id()));
    let outside = Enclave::new(None);
    world.register(&outside).await.unwrap();
    for enclave in [unregistered, outside] {
        let member = std::mem::replace(&mut world.enclave, enclave);
        let query = KeyQuery {
            below: 2,
            after: None,
            limit: 1,
        };
        let listed: Answer<KeyPage> = world.call(path::KEY_LIST, &query).await;
        let keys = vec![old.part()];
        let nonce = Digest32::from_bytes([1; 32]);
        let drilled: Answer<Drilled> = world.call(path::SHARE_DRILL, &Drill { nonce, keys }).await;
        for refused in [
            code(listed),
            code(world.hand_over(&warrant, vec![old.part()]).await),
            code(world.take_over(&warrant, &[&new]).await),
            code(world.confirm(&[&new]).await),
            code(world.retire(&[&new], &[]).await),
            code(drilled),
        ] {
            assert_eq!(refused, Code::NotRegistered);
        }
        world.enclave = member;
    }
}
